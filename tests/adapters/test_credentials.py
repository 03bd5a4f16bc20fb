"""What is secret is checked where it comes in, and no complaint of it shows it."""

from __future__ import annotations

import doctest
from typing import Final

import pytest

from trimtab.adapters import credentials, store_engine
from trimtab.adapters.credentials import (
    HIDDEN,
    Address,
    CredentialError,
    Redactor,
    check_header,
    check_token,
    read_address,
)
from trimtab.adapters.prometheus_connection import PrometheusSettings
from trimtab.adapters.store_engine import check_url

CANARY: Final = "canary-5f0e"


def test_examples() -> None:
    for module in (credentials, store_engine):
        result = doctest.testmod(module)
        assert (result.failed, result.attempted > 0) == (0, True)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://prometheus:9090", Address("http://prometheus:9090")),
        ("https://ann:p%40ss@prometheus/x/", Address("https://prometheus/x/", "ann", "p@ss")),
        ("https://ann@prometheus", Address("https://prometheus", "ann")),
        ("http://:only@[::1]:9090", Address("http://[::1]:9090", "", "only")),
    ],
)
def test_user_and_password_are_taken_out_of_an_address(text: str, address: Address) -> None:
    assert read_address(text, "--prometheus-url") == address


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f"prometheus:9090/{CANARY}", "must begin with http:// or https://"),
        (f"http://ann:{CANARY}/x@prometheus", "host and port cannot be read"),
        (f"http://ann:{CANARY}@prometheus:99999", "host and port cannot be read"),
        (f"http://ann:{CANARY}@prometheus:9o9o", "host and port cannot be read"),
        (f"http://ann:{CANARY}@:9090", "names no host"),
        (f"http://ann:{CANARY}@[::1", "host and port cannot be read"),
        (f"http://prometheus/?token={CANARY}", "must have neither ? nor #"),
        (f"http://ann:{CANARY}#1@prometheus", "host and port cannot be read"),
        (f"http://ann:{CANARY}\n@prometheus", "has a control character or a space"),
    ],
    ids=["scheme", "slash in password", "port", "port in letters", "host", "bracket", "query", "fragment", "newline"],
)
def test_a_bad_address_is_told_without_what_is_in_it(text: str, wrong: str) -> None:
    with pytest.raises(CredentialError) as told:
        read_address(text, "--prometheus-url")
    assert str(told.value).startswith("--prometheus-url: ")
    assert wrong in str(told.value)
    assert CANARY not in str(told.value)


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("X-Org", f"{CANARY}\n", "the value of X-Org has a newline at character 12 of 12"),
        ("X-Org", f"{CANARY}\x00", "has a control character"),
        ("X-Org", f"{CANARY}→", "no header can carry"),
        ("X-Org", f" {CANARY}", "begins or ends with a space"),
        (f"X {CANARY}", "1", "the name of a header must be"),
        ("", CANARY, "the name of a header must be"),
        (f"X:{CANARY}", "1", "the name of a header must be"),
    ],
)
def test_a_bad_header_is_told_without_its_value(name: str, value: str, wrong: str) -> None:
    with pytest.raises(CredentialError) as told:
        check_header(name, value, "TRIMTAB_PROMETHEUS_HEADERS")
    assert wrong in str(told.value)
    assert CANARY not in str(told.value)


def test_a_header_may_be_latin_1() -> None:
    check_header("X-Org", "Käse 1", "--header")


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["none", "newline", "of Windows"])
def test_one_newline_ends_the_file_of_a_token(end: str) -> None:
    assert check_token(f"{CANARY}{end}", "file") == CANARY


@pytest.mark.parametrize("token", ["", "\n", f"{CANARY}\n\n", f"{CANARY}\n x", f"{CANARY} x", f"{CANARY}é", "\t"])
def test_any_other_is_refused(token: str) -> None:
    with pytest.raises(CredentialError, match="file") as told:
        check_token(token, "file")
    assert CANARY not in str(told.value)


def test_two_logins_are_refused() -> None:
    with pytest.raises(CredentialError, match="another login beside it") as told:
        PrometheusSettings(f"http://ann:{CANARY}@x", bearer_token="other-one")
    assert CANARY not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{CANARY}@db:port/trimtab",
        f"sqlite://ann:{CANARY}@host/trimtab",
        f"oracle+none://ann:{CANARY}@db",
        f"ann:{CANARY}@db",
        f"postgresql+psycopg://ann:x@db/trimtab?sslpassword={CANARY}&connect_timeout=x",
    ],
)
def test_a_bad_address_of_the_store_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="or none") as told:
        check_url(url)
    assert CANARY not in str(told.value)
    assert "\n" not in str(told.value)


def test_secrets_are_hidden_in_every_form_in_which_they_are_sent() -> None:
    hidden = Redactor()
    hidden.add_login("ann", 'p@ss/"w')
    text = hidden.text('p@ss/"w p%40ss%2F%22w p@ss/\\"w YW5uOnBAc3MvInc= other')
    assert text == f"{HIDDEN} {HIDDEN} {HIDDEN} {HIDDEN} other"
    assert hidden.raw(b'so p@ss/"w it') == f"so {HIDDEN} it".encode()


def test_a_secret_that_was_cut_off_is_hidden_as_far_as_it_goes() -> None:
    secret = f"{CANARY}-and-much-more-of-a-token"
    hidden = Redactor([secret])
    for length in range(16, len(secret) + 1):
        assert hidden.text(f"no {secret[:length]}... and {secret[:length]}") == f"no {HIDDEN}... and {HIDDEN}"
    assert hidden.text(f"no {secret[:15]}") == f"no {secret[:15]}"


def test_what_is_too_short_to_tell_is_left() -> None:
    assert Redactor(["1", "", "up"]).text("up 1") == "up 1"
