"""DynamoDB stream mappings retry, bisect, give up and report as on AWS.

ministack ignores ReportBatchItemFailures (it skips the failed record), MaximumRetryAttempts and
BisectBatchOnFunctionError (it retries for ever), and serves all mappings from one thread, so that a slow function
stops every other mapping, SQS included.
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
"""

import contextvars
import dataclasses
import threading
import time

from ministack.services import dynamodb, lambda_svc

from shims.batch_response import Malformed, failed_identifiers, reports_item_failures

FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 5.0


@dataclasses.dataclass
class Progress:
    """Where one mapping stands with the batch it is delivering."""

    busy: bool = False
    attempts: int = 0
    # Where the parts of a bisected batch end, as stream positions, the next part last.
    ends: list[int] = dataclasses.field(default_factory=list)

    def next_part(self, position: int, records: list[dict]) -> list[dict]:
        self._forget_ends_up_to(position)
        return records[: self.ends[-1] - position] if self.ends else records

    def bisect(self, position: int, count: int) -> None:
        """Halves the part just tried. That does not count as an attempt."""
        if not self.ends:
            self.ends.append(position + count)
        self.ends.append(position + count // 2)
        self.attempts = 0

    def advance(self, mapping_id: str, position: int) -> None:
        with lambda_svc._dynamodb_stream_positions_lock:
            lambda_svc._dynamodb_stream_positions[mapping_id] = position
        self.attempts = 0
        self._forget_ends_up_to(position)

    def _forget_ends_up_to(self, position: int) -> None:
        while self.ends and self.ends[-1] <= position:
            self.ends.pop()


_progress: dict[str, Progress] = {}


def _sequence_number(record: dict) -> str:
    return record["dynamodb"]["SequenceNumber"]


def _delivered(mapping: dict, records: list[dict], result: dict) -> int:
    """How many of `records` count as done: all, those before the first failure, or none."""
    if result.get("error"):
        return 0
    if not reports_item_failures(mapping):
        return len(records)
    numbers = [_sequence_number(record) for record in records]
    try:
        failed = failed_identifiers(result.get("body"), set(numbers))
    except Malformed:
        return 0
    # The lowest failed sequence number is the checkpoint: everything from there on is delivered again.
    return min((numbers.index(number) for number in failed), default=len(records))


def _too_old(mapping: dict, record: dict) -> bool:
    limit = int(mapping.get("MaximumRecordAgeInSeconds") or -1)
    created = float(record["dynamodb"].get("ApproximateCreationDateTime", time.time()))
    return limit > 0 and time.time() - created > limit


def _exhausted(mapping: dict, attempts: int) -> bool:
    limit = mapping.get("MaximumRetryAttempts")
    return limit is not None and int(limit) >= 0 and attempts > int(limit)


def _deliver(mapping: dict, function: dict, stream: str, position: int, records: list[dict]) -> None:
    mapping_id = mapping["UUID"]
    progress = _progress[mapping_id]
    try:
        records = progress.next_part(position, records)
        end = position + len(records)
        wanted = lambda_svc._apply_filter_criteria(records, mapping)
        if not wanted:
            progress.advance(mapping_id, end)
            return
        result = lambda_svc._execute_function(function, {"Records": wanted})
        done = _delivered(mapping, wanted, result)
        if done == len(wanted):
            mapping["LastProcessingResult"] = f"OK - {done} records"
            progress.advance(mapping_id, end)
            return
        mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
        if done:
            progress.advance(mapping_id, position + records.index(wanted[done]))
            return
        progress.attempts += 1
        expired = _too_old(mapping, records[0])
        if not expired and mapping.get("BisectBatchOnFunctionError") and len(records) > 1:
            progress.bisect(position, len(records))
        elif expired or _exhausted(mapping, progress.attempts):
            condition = "MaxRecordAgeExceeded" if expired else "RetryAttemptsExhausted"
            lambda_svc._send_ddb_stream_failure_record(mapping, function, wanted, stream, result, condition)
            progress.advance(mapping_id, end)
            return
        time.sleep(min(FIRST_BACKOFF_SECONDS * 2**progress.attempts, LONGEST_BACKOFF_SECONDS))
    finally:
        progress.busy = False
        lambda_svc._esm_wake.set()


def _poll_mapping(mapping: dict) -> bool:
    mapping_id = mapping["UUID"]
    stream = mapping.get("EventSourceArn", "")
    if ":dynamodb:" not in stream or "/stream/" not in stream or not mapping.get("Enabled", True):
        return False
    progress = _progress.setdefault(mapping_id, Progress())
    if progress.busy:
        return False
    table_name = stream.split("/stream/")[0].split("/")[-1]
    function, _ = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    table = dynamodb._tables.get(table_name)
    if function is None or not table or table.get("LatestStreamArn") != stream:
        return False
    lambda_svc._init_stream_position(mapping_id, stream, mapping.get("StartingPosition", "LATEST"))
    with lambda_svc._dynamodb_stream_positions_lock:
        # Records older than the trim horizon are gone: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
        position = max(
            lambda_svc._dynamodb_stream_positions[mapping_id], dynamodb.stream_start_position(table_name)
        )
        lambda_svc._dynamodb_stream_positions[mapping_id] = position
    records = dynamodb.stream_records_since(table_name, position, int(mapping.get("BatchSize", 100)))
    if not records:
        return False
    progress.busy = True
    # The account and region of the mapping travel in context variables.
    context = contextvars.copy_context()
    threading.Thread(
        target=context.run,
        args=(_deliver, mapping, function, stream, position, records),
        name=f"stream-{mapping_id}",
        daemon=True,
    ).start()
    return True


def _poll() -> bool:
    found = False
    for account, region, mapping in lambda_svc._iter_all_esms():
        account_token = lambda_svc._request_account_id.set(account)
        region_token = lambda_svc._request_region.set(region)
        try:
            found = _poll_mapping(mapping) or found
        finally:
            lambda_svc._request_account_id.reset(account_token)
            lambda_svc._request_region.reset(region_token)
    return found


def install() -> None:
    lambda_svc._poll_dynamodb_streams = _poll
