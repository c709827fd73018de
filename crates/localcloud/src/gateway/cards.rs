//! The test payment methods: <https://docs.stripe.com/testing>.

/// What a confirmation with a card comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Succeeds,
    NeedsAuthentication,
    Declined(Refusal<'static>),
}

/// Why a card is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    pub(super) code: &'a str,
    pub(super) decline_code: Option<&'a str>,
}

impl Refusal<'_> {
    /// For people.
    pub(super) fn message(&self) -> &'static str {
        match (self.code, self.decline_code) {
            (_, Some("insufficient_funds")) => "Your card has insufficient funds.",
            (_, Some("card_velocity_exceeded")) => {
                "Your card was declined for making repeated attempts too frequently or exceeding its amount \
                 limit."
            }
            ("authentication_required", _) => {
                "Your card was declined. This transaction requires authentication."
            }
            ("expired_card", _) => "Your card has expired.",
            ("incorrect_cvc", _) => "Your card's security code is incorrect.",
            ("processing_error", _) => {
                "An error occurred while processing your card. Try again in a little bit."
            }
            _ => "Your card was declined.",
        }
    }
}

/// What a card that needs authentication comes to where nobody can authenticate.
/// <https://docs.stripe.com/declines/codes>
pub(super) const UNATTENDED: Refusal<'static> =
    Refusal { code: "authentication_required", decline_code: Some("authentication_not_handled") };

const fn declined(code: &'static str, decline_code: Option<&'static str>) -> Verdict {
    Verdict::Declined(Refusal { code, decline_code })
}

const CARDS: &[(&str, Verdict)] = &[
    ("pm_card_visa", Verdict::Succeeds),
    ("pm_card_visa_debit", Verdict::Succeeds),
    ("pm_card_mastercard", Verdict::Succeeds),
    ("pm_card_mastercard_debit", Verdict::Succeeds),
    ("pm_card_mastercard_prepaid", Verdict::Succeeds),
    ("pm_card_amex", Verdict::Succeeds),
    ("pm_card_discover", Verdict::Succeeds),
    ("pm_card_diners", Verdict::Succeeds),
    ("pm_card_jcb", Verdict::Succeeds),
    ("pm_card_unionpay", Verdict::Succeeds),
    ("pm_card_authenticationRequired", Verdict::NeedsAuthentication),
    ("pm_card_visa_chargeDeclined", declined("card_declined", Some("generic_decline"))),
    ("pm_card_chargeDeclined", declined("card_declined", Some("generic_decline"))),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", declined("card_declined", Some("insufficient_funds"))),
    ("pm_card_chargeDeclinedInsufficientFunds", declined("card_declined", Some("insufficient_funds"))),
    ("pm_card_visa_chargeDeclinedLostCard", declined("card_declined", Some("lost_card"))),
    ("pm_card_visa_chargeDeclinedStolenCard", declined("card_declined", Some("stolen_card"))),
    (
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
        declined("card_declined", Some("card_velocity_exceeded")),
    ),
    ("pm_card_radarBlock", declined("card_declined", Some("fraudulent"))),
    ("pm_card_chargeDeclinedFraudulent", declined("card_declined", Some("fraudulent"))),
    ("pm_card_chargeDeclinedExpiredCard", declined("expired_card", None)),
    ("pm_card_chargeDeclinedIncorrectCvc", declined("incorrect_cvc", None)),
    ("pm_card_chargeDeclinedProcessingError", declined("processing_error", None)),
    ("pm_card_chargeCustomerFail", declined("card_declined", Some("generic_decline"))),
];

/// The names of all test payment methods the gateway knows.
pub const NAMES: [&str; CARDS.len()] = {
    let mut names = [""; CARDS.len()];
    let mut rest: &[(&str, Verdict)] = CARDS;
    let mut slots: &mut [&str] = &mut names;
    while let ([(name, _), others @ ..], [slot, free @ ..]) = (rest, slots) {
        *slot = name;
        rest = others;
        slots = free;
    }
    names
};

/// What a confirmation with this method comes to; `None` if there is no such method.
pub(super) fn verdict(name: &str) -> Option<Verdict> {
    CARDS.iter().find(|(known, _)| *known == name).map(|(_, verdict)| *verdict)
}
