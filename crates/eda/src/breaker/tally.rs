/// What an environment has seen since it last told, in one period of the circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// Calls that ended, however they did.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that failed since the last that did not.
    pub trailing: u32,
}

impl Tally {
    /// The resource answered.
    pub fn answered(&mut self) {
        self.calls = self.calls.saturating_add(1);
        self.trailing = 0;
    }

    /// It did not.
    pub fn failed(&mut self) {
        self.calls = self.calls.saturating_add(1);
        self.failures = self.failures.saturating_add(1);
        self.trailing = self.trailing.saturating_add(1);
    }

    /// Failures in a row, where there were `before` of them before this.
    #[must_use]
    pub fn after(&self, before: u32) -> u32 {
        if self.calls > self.failures { self.trailing } else { before.saturating_add(self.failures) }
    }
}
