"""What a driver's error means, one row per SQLSTATE; the message holds the state and never the row."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg.errors import _sqlcodes
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from hub.model.errors import ConfigError, HubError, PoisonError, RetryableError, UnreachableError
from hub.warehouse.database import open_database, translate, translated_errors
from hub.warehouse.sqlstates import CLASSES, CODES, Fault, fault_of

_KINDS: dict[Fault, type[HubError] | None] = {
    Fault.UNREACHABLE: UnreachableError,
    Fault.ENVIRONMENT: RetryableError,
    Fault.CONFIGURATION: ConfigError,
    Fault.ROW: PoisonError,
    Fault.BUG: None,
}

ROWS: list[tuple[str, type[HubError] | None]] = [
    ("08000", UnreachableError),  # connection_exception
    ("08003", UnreachableError),  # connection_does_not_exist
    ("08006", UnreachableError),  # connection_failure
    ("08P01", PoisonError),  # protocol_violation: of a value's binary form
    ("09000", PoisonError),  # triggered_action_exception
    ("0A000", None),  # feature_not_supported
    ("0P000", ConfigError),  # invalid_role_specification
    ("10608", PoisonError),  # invalid_argument_for_xquery
    ("20000", PoisonError),  # case_not_found
    ("21000", PoisonError),  # cardinality_violation
    ("22000", PoisonError),  # data_exception
    ("22003", PoisonError),  # numeric_value_out_of_range
    ("22008", PoisonError),  # datetime_field_overflow
    ("2200M", PoisonError),  # invalid_xml_document
    ("2200N", PoisonError),  # invalid_xml_content
    ("22021", PoisonError),  # character_not_in_repertoire
    ("22030", PoisonError),  # duplicate_json_object_key_value
    ("22032", PoisonError),  # invalid_json_text
    ("22P02", PoisonError),  # invalid_text_representation
    ("22P03", PoisonError),  # invalid_binary_representation
    ("22P04", PoisonError),  # bad_copy_file_format
    ("22P05", PoisonError),  # untranslatable_character
    ("23502", PoisonError),  # not_null_violation
    ("23503", PoisonError),  # foreign_key_violation
    ("23505", PoisonError),  # unique_violation
    ("23514", PoisonError),  # check_violation
    ("23P01", PoisonError),  # exclusion_violation
    ("25001", None),  # active_sql_transaction
    ("25006", RetryableError),  # read_only_sql_transaction
    ("25P02", None),  # in_failed_sql_transaction
    ("25P03", UnreachableError),  # idle_in_transaction_session_timeout
    ("25P04", UnreachableError),  # transaction_timeout
    ("26000", None),  # invalid_sql_statement_name
    ("27000", None),  # triggered_data_change_violation
    ("28000", ConfigError),  # invalid_authorization_specification
    ("28P01", ConfigError),  # invalid_password
    ("38000", PoisonError),  # external_routine_exception
    ("39P01", None),  # trigger_protocol_violated
    ("3D000", ConfigError),  # invalid_catalog_name
    ("3F000", ConfigError),  # invalid_schema_name
    ("40000", RetryableError),  # transaction_rollback
    ("40001", RetryableError),  # serialization_failure
    ("40002", PoisonError),  # transaction_integrity_constraint_violation
    ("40003", RetryableError),  # statement_completion_unknown
    ("40P01", RetryableError),  # deadlock_detected
    ("42501", RetryableError),  # insufficient_privilege
    ("42601", None),  # syntax_error
    ("42622", None),  # name_too_long
    ("42703", None),  # undefined_column
    ("42804", None),  # datatype_mismatch
    ("42846", None),  # cannot_coerce
    ("42P01", None),  # undefined_table
    ("42P22", None),  # indeterminate_collation
    ("44000", PoisonError),  # with_check_option_violation
    ("53100", RetryableError),  # disk_full
    ("53200", RetryableError),  # out_of_memory
    ("53300", RetryableError),  # too_many_connections
    ("53400", RetryableError),  # configuration_limit_exceeded
    ("54000", PoisonError),  # program_limit_exceeded
    ("54001", PoisonError),  # statement_too_complex
    ("54011", None),  # too_many_columns
    ("54023", None),  # too_many_arguments
    ("55000", None),  # object_not_in_prerequisite_state
    ("55006", RetryableError),  # object_in_use
    ("55P03", RetryableError),  # lock_not_available
    ("57014", UnreachableError),  # query_canceled
    ("57P01", UnreachableError),  # admin_shutdown
    ("57P02", UnreachableError),  # crash_shutdown
    ("57P03", UnreachableError),  # cannot_connect_now
    ("57P05", UnreachableError),  # idle_session_timeout
    ("58000", RetryableError),  # system_error
    ("58030", RetryableError),  # io_error
    ("72000", RetryableError),  # snapshot_too_old
    ("F0000", RetryableError),  # config_file_error
    ("HV000", None),  # fdw_error
    ("P0001", PoisonError),  # raise_exception
    ("P0004", PoisonError),  # assert_failure
    ("XX000", None),  # internal_error
    ("XX001", RetryableError),  # data_corrupted
    ("XX002", RetryableError),  # index_corrupted
    ("ZZ999", None),  # no code of PostgreSQL's
]


def driver_error(state: str) -> psycopg.Error:
    error = psycopg.Error("DETAIL: Failing row contains (000299000001, Nguyễn Văn A)")
    error.sqlstate = state
    return error


@pytest.mark.parametrize(("state", "kind"), ROWS)
def test_sqlstate_says_what_happens_next(state: str, kind: type[HubError] | None) -> None:
    translated = translate(driver_error(state), "committing a batch")
    assert type(translated) is (kind or type(None))


@pytest.mark.parametrize("state", [state for state, kind in ROWS if kind is not None])
def test_i8_message_names_the_state_and_not_the_row(state: str) -> None:
    said = str(translate(driver_error(state), "committing a batch"))
    assert state in said
    assert "000299" not in said


@pytest.mark.parametrize("known", CLASSES)
def test_every_class_of_the_table_is_translated_as_it_says(known: str) -> None:
    state = f"{known}ZZZ"
    assert type(translate(driver_error(state), "x")) is (_KINDS[CLASSES[known][0]] or type(None))


@pytest.mark.parametrize("state", CODES)
def test_every_code_of_the_table_is_translated_as_it_says(state: str) -> None:
    assert type(translate(driver_error(state), "x")) is (_KINDS[CODES[state][0]] or type(None))
    assert CODES[state][0] is not CLASSES[state[:2]][0]


def test_table_has_every_class_that_the_driver_knows() -> None:
    known = {kind.sqlstate for kind in _sqlcodes.values() if kind.sqlstate}
    assert len(known) > 200
    assert {state[:2] for state in known} - CLASSES.keys() == set()


def test_protocol_violation_that_ends_the_connection_is_of_a_pooler_and_no_row() -> None:
    assert fault_of("08P01", is_fatal=True) is Fault.UNREACHABLE
    assert fault_of("08P01") is Fault.ROW


def refused_by_the_client() -> list[Exception]:
    unsendable: list[Exception] = [psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes: 000299")]
    calls: list[Callable[[], object]] = [lambda: "000299\ud800".encode(), lambda: (1 << 64).to_bytes(4, "big")]
    for make in calls:
        try:
            make()
        except (UnicodeEncodeError, OverflowError) as error:
            unsendable.append(error)
    return unsendable


@pytest.mark.parametrize("error", refused_by_the_client(), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_value_that_the_client_can_not_send_is_of_a_row(error: Exception, is_wrapped: bool) -> None:
    raised = StatementError("x", "INSERT", {}, error) if is_wrapped else error
    with pytest.raises(PoisonError) as refused, translated_errors("committing a batch"):
        raise raised
    assert refused.value.reason == "INVALID_VALUE"
    assert "000299" not in str(refused.value)


def test_error_without_a_state_is_unreachable_when_the_connection_failed_and_a_bug_otherwise() -> None:
    assert type(translate(psycopg.OperationalError("refused"), "asking")) is UnreachableError
    assert type(translate(psycopg.InterfaceError("closed"), "asking", disconnected=True)) is UnreachableError
    assert translate(psycopg.InterfaceError("closed"), "asking") is None
    assert translate(ValueError("x"), "asking") is None
    assert translate(None, "asking") is None


def wrapped(state: str) -> DBAPIError:
    return IntegrityError("INSERT", {}, driver_error(state))


@pytest.mark.parametrize("make", [driver_error, wrapped])
def test_errors_are_translated_whether_the_driver_or_sqlalchemy_raised_them(make: object) -> None:
    assert callable(make)
    with pytest.raises(PoisonError), translated_errors("x"):
        raise make("23505")
    with pytest.raises((psycopg.Error, DBAPIError)) as passed, translated_errors("x"):
        raise make("42P01")
    assert not isinstance(passed.value, HubError)


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), translated_errors("x"):
        raise KeyError("x")


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/name", "sqlite:///file"])
def test_url_that_is_not_of_postgresql_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="HUB_DATABASE_URL"):
        open_database(url, "hub")


def test_refused_url_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as refused:
        open_database("mysql://user:hidden@host/name", "hub")
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("url", ["postgresql://host/name", "postgresql+psycopg2://host/name"])
def test_url_of_postgresql_is_opened_by_psycopg(url: str) -> None:
    assert open_database(url, "hub").url.drivername == "postgresql+psycopg"


def test_time_limit_of_a_statement_is_not_called_a_server_that_went_away() -> None:
    said = str(translate(driver_error("57014"), "reading the ledger"))
    assert "went away" not in said
    assert "PostgreSQL cancelled a statement (reading the ledger, SQLSTATE 57014)" in said
    assert "statement_timeout" in said
    assert "PostgreSQL went away (x, SQLSTATE 57P01)" in str(translate(driver_error("57P01"), "x"))
