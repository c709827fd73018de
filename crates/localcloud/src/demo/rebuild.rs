//! Builds the orders' views anew while orders come in.

use eda::view::{BuildState, Generations};
use serde_json::json;

use crate::Stack;

const FUNCTION: &str = "rebuild-orders-view";

/// The build of the next generation, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Rebuild {
    generations: Option<Generations>,
    /// Events that came while it was under way.
    pub(super) meanwhile: usize,
}

impl Rebuild {
    /// Begins the build, or lets it go on. What fails is the next call's to repair.
    pub(super) async fn drive(&mut self, stack: &Stack) {
        let action = if self.generations.is_none() { "start" } else { "continue" };
        let request = json!({ "action": action }).to_string();
        if let Ok(answer) = stack.invoke(FUNCTION, request.as_bytes()).await
            && answer.error.is_none()
            && let Ok(generations) = serde_json::from_value::<Generations>(answer.payload)
            // Without a build it was refused.
            && generations.build.is_some()
        {
            self.generations = Some(generations);
        }
    }

    /// Whether the build has begun and not ended.
    pub(super) fn is_under_way(&self) -> bool {
        self.generations.as_ref().is_some_and(|generations| generations.building().is_some())
    }

    /// What it came to: the generation that readers see now, or why they do not.
    pub(super) fn outcome(&self) -> Result<String, String> {
        let build = self.generations.as_ref().and_then(|generations| generations.build.as_ref());
        let Some(build) = build else { return Err("it never began".to_owned()) };
        if build.state != BuildState::Switched {
            return Err(format!("generation {} is {:?}", build.generation, build.state));
        }
        Ok(format!(
            "generation {} was built of {} orders, while {} events came in",
            build.generation, build.projected, self.meanwhile
        ))
    }
}
