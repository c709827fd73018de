//! The six calls: what their parameters say, and what they do.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::book::{Book, Charge, Intent, Refund, Status};
use super::cards::{self, Refusal, Verdict};
use super::error::ApiError;
use super::fault::Do;
use super::form::Form;
use super::object;
use super::request::{Call, CallKind};

/// The largest amount. <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>
const LARGEST: i64 = 99_999_999;

/// The smallest amounts, where Stripe names one.
/// <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>
const SMALLEST: &[(&str, i64)] =
    &[("usd", 50), ("eur", 50), ("gbp", 30), ("chf", 50), ("cad", 50), ("aud", 50), ("jpy", 50)];

/// A call whose parameters have passed validation.
#[derive(Debug)]
pub(super) enum Command {
    Create(New),
    Confirm(Confirmation),
    Cancel { id: String, reason: Option<String> },
    Retrieve { id: String },
    Refund { intent: String, amount: Option<i64>, reason: Option<String>, metadata: BTreeMap<String, String> },
    ListRefunds { intent: Option<String>, limit: usize },
}

#[derive(Debug)]
pub(super) struct New {
    amount: i64,
    currency: String,
    payment_method: Option<String>,
    metadata: BTreeMap<String, String>,
    description: Option<String>,
    may_redirect: bool,
    confirm: bool,
    unattended: bool,
    return_url: bool,
}

#[derive(Debug)]
pub(super) struct Confirmation {
    id: String,
    payment_method: Option<String>,
    /// What needs authentication is declined: `error_on_requires_action`.
    unattended: bool,
    return_url: bool,
}

impl Command {
    pub(super) fn parse(call: &Call) -> Result<Self, ApiError> {
        let form = &call.form;
        let id = || call.id.clone().unwrap_or_default();
        let text = |name| form.get(name).map(str::to_owned);
        match call.kind {
            CallKind::Create => New::parse(form).map(Self::Create),
            CallKind::Confirm => {
                form.only(&[
                    "payment_method",
                    "payment_method_types",
                    "return_url",
                    "off_session",
                    "receipt_email",
                    "shipping",
                    "setup_future_usage",
                    "error_on_requires_action",
                    "use_stripe_sdk",
                    "expand",
                ])?;
                let return_url = form.get("return_url").is_some();
                Ok(Self::Confirm(Confirmation {
                    id: id(),
                    payment_method: text("payment_method"),
                    unattended: form.flag("error_on_requires_action")?,
                    return_url,
                }))
            }
            CallKind::Cancel => {
                form.only(&["cancellation_reason", "expand"])?;
                let known = ["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
                match form.get("cancellation_reason") {
                    Some(reason) if !known.contains(&reason) => Err(ApiError::invalid(format!(
                        "Invalid cancellation_reason: must be one of {}",
                        known.join(", ")
                    ))
                    .param("cancellation_reason")),
                    reason => Ok(Self::Cancel { id: id(), reason: reason.map(str::to_owned) }),
                }
            }
            CallKind::Retrieve => {
                form.only(&["client_secret", "expand"])?;
                Ok(Self::Retrieve { id: id() })
            }
            CallKind::Refund => {
                form.only(&["payment_intent", "amount", "metadata", "reason", "expand"])?;
                let amount = form.get("amount").map(|_| form.amount("amount")).transpose()?;
                Ok(Self::Refund {
                    intent: form.required("payment_intent")?.to_owned(),
                    amount,
                    reason: text("reason"),
                    metadata: form.metadata()?,
                })
            }
            CallKind::ListRefunds => {
                form.only(&["payment_intent", "limit", "expand"])?;
                let limit = form.get("limit").map(|_| form.amount("limit")).transpose()?.unwrap_or(10);
                let limit = usize::try_from(limit.min(100)).unwrap_or(100);
                Ok(Self::ListRefunds { intent: text("payment_intent"), limit })
            }
        }
    }

    /// Does it. `fault` may decline a confirmation or let it take its time.
    pub(super) fn run(self, book: &mut Book, fault: Option<&Do>, now: Timestamp) -> Result<Value, ApiError> {
        match self {
            Self::Create(new) => new.run(book, fault, now),
            Self::Confirm(confirmation) => confirmation.run(book, fault, now),
            Self::Cancel { id, reason } => cancel(book, &id, reason, now),
            Self::Retrieve { id } => Ok(object::intent(find(book, &id, now)?)),
            Self::Refund { intent, amount, reason, metadata } => {
                refund(book, &intent, amount, reason, metadata, now)
            }
            Self::ListRefunds { intent, limit } => {
                let fits = |refund: &&Refund| intent.as_ref().is_none_or(|intent| refund.intent == *intent);
                let found: Vec<_> = book.refunds.iter().rev().filter(fits).collect();
                let data = found.iter().take(limit).map(|refund| object::refund(refund)).collect();
                Ok(object::list("/v1/refunds", data, found.len() > limit))
            }
        }
    }
}

impl New {
    fn parse(form: &Form) -> Result<Self, ApiError> {
        form.only(&[
            "amount",
            "currency",
            "payment_method",
            "payment_method_types",
            "automatic_payment_methods",
            "capture_method",
            "confirm",
            "confirmation_method",
            "customer",
            "description",
            "error_on_requires_action",
            "expand",
            "metadata",
            "off_session",
            "receipt_email",
            "return_url",
            "setup_future_usage",
            "shipping",
            "statement_descriptor",
            "statement_descriptor_suffix",
            "use_stripe_sdk",
        ])?;
        let amount = form.amount("amount")?;
        let currency = form.required("currency")?.to_lowercase();
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(ApiError::invalid(format!("Invalid currency: {currency}.")).param("currency"));
        }
        let smallest = SMALLEST.iter().find(|(code, _)| *code == currency).map_or(1, |(_, amount)| *amount);
        if amount < smallest {
            let message = format!("Amount must be at least {smallest} {currency}, in the smallest unit.");
            return Err(ApiError::invalid(message).code("amount_too_small").param("amount"));
        }
        if amount > LARGEST {
            let message = format!("Amount must be no more than {LARGEST} {currency}, in the smallest unit.");
            return Err(ApiError::invalid(message).code("amount_too_large").param("amount"));
        }
        if let Some(method) = form.get("capture_method").filter(|method| !method.starts_with("automatic")) {
            let message = format!("This gateway captures automatically, not: {method}");
            return Err(ApiError::invalid(message).param("capture_method"));
        }
        let automatic = form.get("automatic_payment_methods[enabled]") != Some("false")
            && !form.has("payment_method_types");
        let redirects = form.get("automatic_payment_methods[allow_redirects]") != Some("never");
        Ok(Self {
            amount,
            currency,
            payment_method: form.get("payment_method").map(str::to_owned),
            metadata: form.metadata()?,
            description: form.get("description").map(str::to_owned),
            // On by default since 2023-08-16: https://docs.stripe.com/upgrades#2023-08-16
            may_redirect: automatic && redirects,
            confirm: form.flag("confirm")?,
            unattended: form.flag("error_on_requires_action")?,
            return_url: form.get("return_url").is_some(),
        })
    }

    fn run(self, book: &mut Book, fault: Option<&Do>, now: Timestamp) -> Result<Value, ApiError> {
        let method = match &self.payment_method {
            None => None,
            Some(given) => Some(book.method(given).ok_or_else(|| no_method(given))?),
        };
        let id = book.id("pi");
        let intent = Intent {
            id: id.clone(),
            amount: self.amount,
            currency: self.currency,
            created: now,
            metadata: self.metadata,
            description: self.description,
            status: match method {
                Some(_) => Status::RequiresConfirmation,
                None => Status::RequiresPaymentMethod,
            },
            last_method: method.as_ref().map(|method| method.name.clone()),
            method,
            may_redirect: self.may_redirect,
            charges: Vec::new(),
            last_error: None,
            settles: None,
            canceled: None,
            refunded: 0,
        };
        let shown = object::intent(&intent);
        book.add(intent);
        if self.confirm {
            let confirmation = Confirmation {
                id,
                payment_method: None,
                unattended: self.unattended,
                return_url: self.return_url,
            };
            return confirmation.run(book, fault, now);
        }
        Ok(shown)
    }
}

impl Confirmation {
    fn run(self, book: &mut Book, fault: Option<&Do>, now: Timestamp) -> Result<Value, ApiError> {
        let charge = book.id("ch");
        // Stripe looks at the state before it looks at the parameters' objects.
        confirmable(find(book, &self.id, now)?)?;
        let given = match &self.payment_method {
            None => None,
            Some(given) => Some(book.method(given).ok_or_else(|| no_method(given))?),
        };
        let intent = find(book, &self.id, now)?;
        let Some(method) = given.or_else(|| intent.method.clone()) else {
            let message = "You cannot confirm this PaymentIntent because it's missing a payment method. You \
                           can either update the PaymentIntent with a payment method and then confirm it \
                           again, or confirm it again directly with a payment method or ConfirmationToken.";
            return Err(ApiError::unexpected_state(message, object::intent(intent)));
        };
        if intent.may_redirect && !self.return_url {
            let message = "This PaymentIntent is configured to accept payment methods enabled in your \
                           Dashboard. Because some of these payment methods might redirect your customer off \
                           of your page, you must provide a `return_url`. If you don't want to accept \
                           redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` \
                           and `automatic_payment_methods[allow_redirects]` to `never`.";
            return Err(ApiError::invalid(message).param("return_url"));
        }
        intent.last_method = Some(method.name.clone());
        let verdict = match fault {
            Some(Do::Decline { code, decline_code }) => {
                return Err(decline(intent, charge, Refusal { code, decline_code: decline_code.as_deref() }));
            }
            _ => cards::verdict(&method.name).unwrap_or(Verdict::Succeeds),
        };
        match verdict {
            Verdict::Declined(refusal) => return Err(decline(intent, charge, refusal)),
            Verdict::NeedsAuthentication if self.unattended => {
                return Err(decline(intent, charge, cards::UNATTENDED));
            }
            Verdict::NeedsAuthentication => intent.status = Status::RequiresAction,
            Verdict::Succeeds => {
                let settles = match fault {
                    Some(Do::Processing { for_ms }) => now.checked_add(Duration::from_millis(*for_ms)).ok(),
                    _ => None,
                };
                intent.status = if settles.is_some() { Status::Processing } else { Status::Succeeded };
                intent.charges.push(Charge { id: charge, paid: settles.is_none() });
                intent.settles = settles;
            }
        }
        intent.method = Some(method);
        intent.last_error = None;
        Ok(object::intent(intent))
    }
}

fn confirmable(intent: &Intent) -> Result<(), ApiError> {
    let message = match intent.status {
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction => {
            return Ok(());
        }
        Status::Succeeded => {
            "You cannot confirm this PaymentIntent because it has already succeeded after being \
                              previously confirmed."
                .to_owned()
        }
        status => format!(
            "You cannot confirm this PaymentIntent because it has a status of {}. Only a PaymentIntent with \
             one of the following statuses may be confirmed: requires_confirmation, requires_action.",
            status.name()
        ),
    };
    Err(ApiError::unexpected_state(message, object::intent(intent)))
}

fn decline(intent: &mut Intent, charge: String, refusal: Refusal<'_>) -> ApiError {
    intent.status = Status::RequiresPaymentMethod;
    intent.method = None;
    intent.last_error = Some(json!({
        "type": "card_error",
        "code": refusal.code,
        "decline_code": refusal.decline_code,
        "message": refusal.message(),
        "charge": charge,
    }));
    intent.charges.push(Charge { id: charge.clone(), paid: false });
    ApiError::declined(refusal, &charge, object::intent(intent))
}

fn cancel(book: &mut Book, id: &str, reason: Option<String>, now: Timestamp) -> Result<Value, ApiError> {
    let intent = find(book, id, now)?;
    match intent.status {
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction => {
            intent.status = Status::Canceled;
            intent.canceled = Some((now, reason));
            Ok(object::intent(intent))
        }
        status => {
            let message = format!(
                "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent \
                 with one of the following statuses may be canceled: requires_payment_method, requires_capture, \
                 requires_confirmation, requires_action, processing.",
                status.name()
            );
            Err(ApiError::unexpected_state(message, object::intent(intent)))
        }
    }
}

fn refund(
    book: &mut Book,
    id: &str,
    amount: Option<i64>,
    reason: Option<String>,
    metadata: BTreeMap<String, String>,
    now: Timestamp,
) -> Result<Value, ApiError> {
    let refund_id = book.id("re");
    let Some(intent) = book.intent(id, now) else {
        return Err(ApiError::missing(404, "payment_intent", id, "payment_intent"));
    };
    let Some(charge) = intent.charges.last().filter(|charge| charge.paid) else {
        let message = format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
        return Err(ApiError::invalid(message).param("payment_intent"));
    };
    let left = intent.amount.saturating_sub(intent.refunded);
    if left == 0 {
        let message = format!("Charge {} has already been refunded.", charge.id);
        return Err(ApiError::invalid(message).code("charge_already_refunded"));
    }
    let amount = amount.unwrap_or(left);
    if amount > left {
        let message =
            format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
        return Err(ApiError::invalid(message).param("amount"));
    }
    intent.refunded = intent.refunded.saturating_add(amount);
    let refund = Refund {
        id: refund_id,
        intent: intent.id.clone(),
        charge: charge.id.clone(),
        amount,
        currency: intent.currency.clone(),
        created: now,
        reason,
        metadata,
    };
    let shown = object::refund(&refund);
    book.refunds.push(refund);
    Ok(shown)
}

fn find<'a>(book: &'a mut Book, id: &str, now: Timestamp) -> Result<&'a mut Intent, ApiError> {
    book.intent(id, now).ok_or_else(|| ApiError::missing(404, "payment_intent", id, "intent"))
}

fn no_method(given: &str) -> ApiError {
    ApiError::missing(400, "PaymentMethod", given, "payment_method")
}
