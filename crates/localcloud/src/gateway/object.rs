//! Stripe's objects.

use serde_json::{Value, json};

use super::book::{Intent, Refund, Status};

/// <https://docs.stripe.com/api/payment_intents/object>
pub(super) fn intent(intent: &Intent) -> Value {
    let next_action = (intent.status == Status::RequiresAction)
        .then(|| json!({"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}));
    json!({
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": 0,
        "amount_received": intent.received(),
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": {
            "enabled": true,
            "allow_redirects": if intent.may_redirect { "always" } else { "never" },
        },
        "canceled_at": intent.canceled.as_ref().map(|(at, _)| at.as_second()),
        "cancellation_reason": intent.canceled.as_ref().and_then(|(_, reason)| reason.clone()),
        "capture_method": "automatic_async",
        "client_secret": format!("{}_secret_local", intent.id),
        "confirmation_method": "automatic",
        "created": intent.created.as_second(),
        "currency": intent.currency,
        "customer": null,
        "description": intent.description,
        "last_payment_error": intent.last_error,
        "latest_charge": intent.charges.last().map(|charge| charge.id.clone()),
        "livemode": false,
        "metadata": intent.metadata,
        "next_action": next_action,
        "on_behalf_of": null,
        "payment_method": intent.method.as_ref().map(|method| method.id.clone()),
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": intent.status.name(),
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// <https://docs.stripe.com/api/refunds/object>
pub(super) fn refund(refund: &Refund) -> Value {
    json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": null,
        "charge": refund.charge,
        "created": refund.created.as_second(),
        "currency": refund.currency,
        "destination_details": {"type": "card"},
        "metadata": refund.metadata,
        "payment_intent": refund.intent,
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    })
}

/// <https://docs.stripe.com/api/pagination>
pub(super) fn list(url: &str, data: Vec<Value>, has_more: bool) -> Value {
    json!({"object": "list", "url": url, "has_more": has_more, "data": data})
}
