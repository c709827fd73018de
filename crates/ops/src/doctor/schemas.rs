//! Contracts: those of the deployment, beside those that this program was built with.

use aws_sdk_cloudformation::types::TemplateStage;
use shop::events::schema::published;

use crate::deployment::Deployment;
use crate::error::Error;

/// Contracts that the deployed template lacks, each as `source/name version`. Published ones never change, so a contract is
/// there or it is not.
pub(super) async fn drift(deployment: &Deployment) -> Result<Vec<String>, Error> {
    let asked = deployment
        .formation
        .get_template()
        .stack_name(&deployment.stack)
        .template_stage(TemplateStage::Original)
        .send()
        .await
        .map_err(Error::aws("cloudformation:GetTemplate"))?;
    let template = asked.template_body.unwrap_or_default();
    Ok(missing(&template))
}

fn missing(template: &str) -> Vec<String> {
    let published = published().into_iter();
    let missing = published.filter(|contract| {
        let urn = format!("urn:event:{}:{}:{}", contract.source, contract.detail_type, contract.version);
        !template.contains(&urn)
    });
    missing.map(|one| format!("{}/{} {}", one.source, one.detail_type, one.version)).collect()
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn a_contract_is_known_by_its_urn() {
        let all = missing("");
        assert!(all.contains(&"orders/OrderPlaced 2.0".to_owned()));
        let known = missing("\"id\":\"urn:event:orders:OrderPlaced:2.0\"");
        assert_eq!(known.len() + 1, all.len());
    }
}
