//! The mail, and what can be known of its sending.

use eda::Failure;
use eda::aws::{Answer, Aws, Signed};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Receipt;

/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>
const SEND_EMAIL: &str = "/v2/email/outbound-emails";

/// What became of a mail.
pub(crate) enum Sent {
    /// SES took it, under this id.
    Taken(Option<String>),
    /// It certainly did not go out.
    Refused(Failure),
    /// It may have gone out.
    Unknown(Failure),
}

/// Sends mails from one address.
pub(crate) struct Mailer {
    ses: Signed,
    sender: String,
}

impl Mailer {
    /// Sends by requests that are never repeated: a repetition is a second mail.
    pub(crate) fn new(aws: &Aws, sender: String) -> Result<Self, Failure> {
        Ok(Self { ses: Signed::at(aws, "email", "ses")?, sender })
    }

    /// Sends a receipt: one `SendEmail`.
    pub(crate) async fn send(&self, receipt: &Receipt) -> Sent {
        let mail = self.mail(receipt).to_string().into_bytes();
        let headers = [("content-type", "application/json")];
        match self.ses.send("POST", SEND_EMAIL, &headers, mail).await {
            Ok(answer) => verdict(&answer),
            Err(failure) => Sent::Unknown(failure),
        }
    }

    /// Marked with the event that it came from, for whoever asks SES what became of it.
    fn mail(&self, Receipt { order_id, customer_email, amount, event_id }: &Receipt) -> Value {
        let text = |text: String| json!({ "Data": text, "Charset": "UTF-8" });
        json!({
            "FromEmailAddress": self.sender,
            "Destination": { "ToAddresses": [customer_email] },
            "Content": { "Simple": {
                "Subject": text(format!("Your order {order_id}")),
                "Body": { "Text": text(format!(
                    "Thank you for your order.\n\nOrder: {order_id}\nAmount: {amount}\n"
                )) },
            } },
            "EmailTags": [{ "Name": "eventId", "Value": event_id.to_string() }],
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    message_id: Option<String>,
}

/// What can be known after an answer. Only its status is told: messages of SES quote addresses.
/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors>
fn verdict(answer: &Answer) -> Sent {
    match answer.status {
        200..300 => {
            let taken: Taken = serde_json::from_slice(&answer.body).unwrap_or_default();
            Sent::Taken(taken.message_id)
        }
        status @ (403 | 429) => {
            Sent::Refused(Failure::transient(format!("SES does not take the mail now ({status})")))
        }
        status @ 400..500 => Sent::Refused(Failure::permanent(format!("SES refused the mail ({status})"))),
        status => Sent::Unknown(Failure::transient(format!("SES failed ({status})"))),
    }
}
