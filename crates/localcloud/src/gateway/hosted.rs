//! A gateway within a program, to be looked into and meddled with while it is called.

use std::io;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{ActiveFault, Fault, Gateway, Ledger, Settings, server};

/// A gateway that listens on a free port of loopback. Dropping it ends it.
#[derive(Debug)]
pub struct Hosted {
    url: String,
    gateway: Gateway,
    task: JoinHandle<io::Result<()>>,
}

impl Hosted {
    /// Starts one.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let gateway = Gateway::new(settings);
        let task = tokio::spawn(server::serve_shared(listener, gateway.clone()));
        Ok(Self { url, gateway, task })
    }

    /// Its base URL, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its state, shared with whoever calls it over the socket.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// What has been charged and given back by now.
    pub fn ledger(&self) -> Ledger {
        self.gateway.ledger(Timestamp::now())
    }

    /// Adds a fault. Fails, with a sentence, if its path is no regular expression.
    pub fn fault(&self, fault: Fault) -> Result<ActiveFault, String> {
        self.gateway.add_fault(fault)
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.task.abort();
    }
}
