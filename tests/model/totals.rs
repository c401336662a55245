//! How much of everything happened.

/// What the cases together reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub steps: usize,
    pub disclosed: usize,
    pub sent: usize,
    pub uncertain: usize,
    pub joined: usize,
    pub busy: usize,
    pub proved: usize,
    pub waived: usize,
    pub confirmed: usize,
    pub refused_to_discloser: usize,
    pub write_failed: usize,
    pub raced: usize,
    pub waived_between: usize,
    pub restarts: usize,
    pub own: usize,
}

impl Totals {
    pub fn named(&self) -> [(&'static str, usize); 15] {
        [
            ("steps", self.steps),
            ("disclosed", self.disclosed),
            ("sent", self.sent),
            ("uncertain", self.uncertain),
            ("joined", self.joined),
            ("busy", self.busy),
            ("proved", self.proved),
            ("waived", self.waived),
            ("confirmed", self.confirmed),
            ("refused to the discloser", self.refused_to_discloser),
            ("write failed", self.write_failed),
            ("raced", self.raced),
            ("waived between", self.waived_between),
            ("restarts", self.restarts),
            ("own", self.own),
        ]
    }

    pub fn add(&mut self, more: Self) {
        self.steps += more.steps;
        self.disclosed += more.disclosed;
        self.sent += more.sent;
        self.uncertain += more.uncertain;
        self.joined += more.joined;
        self.busy += more.busy;
        self.proved += more.proved;
        self.waived += more.waived;
        self.confirmed += more.confirmed;
        self.refused_to_discloser += more.refused_to_discloser;
        self.write_failed += more.write_failed;
        self.raced += more.raced;
        self.waived_between += more.waived_between;
        self.restarts += more.restarts;
        self.own += more.own;
    }
}
