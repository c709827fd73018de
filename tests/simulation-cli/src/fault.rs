//! What can go wrong, and how often.

use crate::named::named;

macro_rules! kinds {
    ($($kind:ident $name:literal $rate:literal $help:literal;)+) => {
        named! {
            /// A kind of fault.
            Kind "fault" { $($kind $name $help;)+ }
        }

        impl Kind {
            /// How likely it is whenever it is possible.
            #[must_use]
            pub fn rate(self) -> f64 {
                match self { $(Self::$kind => $rate),+ }
            }
        }
    };
}

kinds! {
    Duplicate "duplicate" 0.08 "An event or message is delivered twice";
    Reorder "reorder" 1.0 "Whatever is not ordered arrives in any order";
    Delay "delay" 0.05 "A message takes up to ten minutes";
    Redeliver "redeliver" 0.05 "A message shows again while it is still being handled";
    Throttle "throttle" 0.02 "AWS refuses a call for now";
    Conflict "conflict" 0.03 "A transaction or write meets another on the same item";
    PartialPut "partial-put" 0.10 "A bus or a queue takes only some of what it is given";
    Unprocessed "unprocessed" 0.10 "A batch of writes is done only in part";
    ShortPage "short-page" 0.20 "A query or scan answers in small pages";
    StaleIndex "stale-index" 0.20 "An index shows what it showed before";
    LostRequest "lost-request" 0.02 "A request never arrives";
    LostReply "lost-reply" 0.03 "A call succeeds, its reply gets lost";
    SlowCall "slow-call" 0.01 "A call takes seconds, and may run although its caller has given up";
    KillBefore "kill-before" 0.01 "The function dies before a call";
    KillAfter "kill-after" 0.01 "The function dies after a call";
    LateTimeout "late-timeout" 0.02 "The function is done when its timeout strikes: Lambda counts it as failed";
    ClockSkew "clock-skew" 0.5 "A function's clock is off, by up to half a minute";
    StreamStop "stream-stop" 0.002 "A table's stream stands still for longer than 24 hours: once in a run";
    LostRecord "lost-record" 0.01 "A stream record never reaches one of its readers";
    LostMessage "lost-message" 0.004 "A message is lost for good: one in a run";
    SpentReceives "spent-receives" 0.005 "A message becomes a dead letter while it is still being handled";
    Operator "operator" 0.01 "Somebody has dead letters taken in, and sends them again, while all goes on";
    Poison "poison" 0.01 "Something undecodable is put on a queue";
    ClientRepeat "client-repeat" 0.2 "A client sends its order again";
    GatewayDecline "gateway-decline" 0.03 "The card is declined";
    GatewayProcessing "gateway-processing" 0.03 "A charge is under way for a while";
    GatewayError "gateway-error" 0.03 "The gateway saves a 500 and has done nothing";
    GatewayErrorAfter "gateway-error-after" 0.03 "The gateway saves a 500 and has done it";
    GatewayLostReply "gateway-lost-reply" 0.04 "The gateway's reply gets lost";
    GatewayTimeout "gateway-timeout" 0.03 "The gateway does it late, or never, and its caller has given up";
    GatewayUnavailable "gateway-unavailable" 0.04 "The gateway refuses at its edge";
    GatewayOutage "gateway-outage" 0.02 "The gateway is out of order, for up to four hours: once in a run";
    OldProducer "old-producer" 0.3 "An order is placed by a release that knows only OrderPlaced 1.0";
    LostSnapshot "lost-snapshot" 0.2 "A snapshot is deleted";
    OldSnapshot "old-snapshot" 0.2 "A snapshot is there that an older release wrote in a form of its own";
    Rebuild "rebuild" 0.01 "Somebody has the views built anew, gives a build up or sends readers back";
    Replay "replay" 0.02 "Everything that was published so far is replayed to all rules: once in a run";
    LostTask "lost-task" 0.02 "No answer of one task of a saga is heard, whatever it has done: once in a run";
    ExecutionStop "execution-stop" 0.005 "A saga's execution is stopped wherever it stands: once in a run";
    Import "import" 0.3 "Somebody puts a file of orders into the bucket, right ones and wrong ones: once in a run";
    GatewayForgets "gateway-forgets" 0.05 "The gateway has forgotten an idempotency key";
    LargeItems "large-items" 0.5 "Items are so large that no page of a query or scan holds more than a few";
}
