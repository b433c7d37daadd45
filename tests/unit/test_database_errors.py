"""What a driver's error means, one row per SQLSTATE; the message holds the state and never the row."""

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from hub.model.errors import ConfigError, HubError, PoisonError, RetryableError, UnreachableError
from hub.warehouse.database import open_database, translate, translated_errors

ROWS: list[tuple[str, type[HubError] | None]] = [
    ("08000", UnreachableError),  # connection_exception
    ("08003", UnreachableError),  # connection_does_not_exist
    ("08006", UnreachableError),  # connection_failure
    ("57014", UnreachableError),  # query_canceled
    ("57P01", UnreachableError),  # admin_shutdown
    ("57P02", UnreachableError),  # crash_shutdown
    ("57P03", UnreachableError),  # cannot_connect_now
    ("40001", RetryableError),  # serialization_failure
    ("40P01", RetryableError),  # deadlock_detected
    ("53100", RetryableError),  # disk_full
    ("53200", RetryableError),  # out_of_memory
    ("53300", RetryableError),  # too_many_connections
    ("55P03", RetryableError),  # lock_not_available
    ("42501", RetryableError),  # insufficient_privilege
    ("22000", PoisonError),  # data_exception
    ("22003", PoisonError),  # numeric_value_out_of_range
    ("22008", PoisonError),  # datetime_field_overflow
    ("22021", PoisonError),  # character_not_in_repertoire
    ("22P02", PoisonError),  # invalid_text_representation
    ("22P05", PoisonError),  # untranslatable_character
    ("23502", PoisonError),  # not_null_violation
    ("23505", PoisonError),  # unique_violation
    ("23514", PoisonError),  # check_violation
    ("28000", ConfigError),  # invalid_authorization_specification
    ("28P01", ConfigError),  # invalid_password
    ("3D000", ConfigError),  # invalid_catalog_name
    ("42601", None),  # syntax_error
    ("42703", None),  # undefined_column
    ("42P01", None),  # undefined_table
    ("40002", None),  # transaction_integrity_constraint_violation
    ("55000", None),  # object_not_in_prerequisite_state
    ("0A000", None),  # feature_not_supported
    ("25006", None),  # read_only_sql_transaction
    ("XX000", None),  # internal_error
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
