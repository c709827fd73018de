//! Runs simulations.
use simulation::{Options, Simulator};

fn main() {
    let simulator = Simulator::of_workspace().unwrap();
    let from: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1);
    let n: u64 = std::env::args().nth(2).and_then(|a| a.parse().ok()).unwrap_or(1);
    let orders: usize = std::env::args().nth(3).and_then(|a| a.parse().ok()).unwrap_or(5);
    let traced = std::env::args().nth(4).is_some();
    let begun = std::time::Instant::now();
    for seed in from..from + n {
        let mut options = Options::new(seed, orders);
        options.traced = traced;
        let outcome = simulator.run(&options).unwrap();
        if traced { println!("{}", outcome.trace); }
        if !outcome.violations.is_empty() || n < 5 {
            println!("seed {seed}: {} steps {} calls {:?} {:#?}", outcome.steps, outcome.aws_calls, outcome.faults, outcome.violations);
        }
    }
    println!("{:?}", begun.elapsed());
}
