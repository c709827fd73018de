"""A table's TTL and point-in-time recovery take effect when they come from a template.

ministack drops both silently.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
"""

from ministack.services import dynamodb

from shims.template_handlers import after, check


def _apply(table: str, properties: dict) -> None:
    for setting, update in (
        ("TimeToLiveSpecification", dynamodb._update_ttl),
        ("PointInTimeRecoverySpecification", dynamodb._update_continuous_backups),
    ):
        if properties.get(setting):
            check(update({"TableName": table, setting: properties[setting]}))


def install() -> None:
    after("AWS::DynamoDB::Table", _apply)
