"""'Use this stream' as a producer's engineer meets it: what is pasted runs and is accepted."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import visitor
from tests.support.live import Portal

pytestmark = pytest.mark.browser
STREAM = "payments.refund_issued"


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("curl", ["sh", "-c"]),
        ("Python", [sys.executable, "-c"]),
        ("Node", ["node", "--input-type=module", "-e"]),
    ],
)
def test_each_way_to_send_runs_as_it_is_pasted(
    way: str, words: list[str], chromium: Browser, shop: Portal, tmp_path: Path
) -> None:
    program = "curl" if way == "curl" else words[0]
    if shutil.which(program) is None:
        pytest.skip(f"DID NOT RUN: there is no {program} on the PATH")
    engineer = visitor(chromium, shop, "engineer")
    engineer.open(f"/streams/{STREAM}/use/")
    engineer.page.click(f"#send .tabs a:text-is('{way}')")
    engineer.page.wait_for_selector(f"#send .tabs a[aria-current]:text-is('{way}')")
    engineer.page.click("main form button:has-text('Make a producer key')")
    engineer.page.wait_for_selector("#snippet:has-text('ep_prod_')")
    text = engineer.page.locator("#snippet").inner_text()
    done = subprocess.run(
        [*words, text], capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path
    )
    assert '"accepted":1' in done.stdout.replace(" ", ""), done.stdout + done.stderr
    assert engineer.faults == []
    engineer.page.context.close()


def test_the_types_can_be_read_copied_and_downloaded_without_a_script(
    chromium: Browser, shop: Portal
) -> None:
    plain = visitor(chromium, shop, "engineer", java_script_enabled=False)
    plain.open(f"/streams/{STREAM}/use/")
    expect(plain.page.locator("#code")).to_contain_text("class RefundIssued(BaseModel):")
    plain.page.click("#types .tabs a:text-is('TypeScript')")
    expect(plain.page.locator("#code")).to_contain_text("export interface RefundIssued {")
    shown = plain.page.locator("#code").inner_text()
    with plain.page.expect_download() as waited:
        plain.page.click("#types a:has-text('Download')")
    assert re.fullmatch(r"payments_refund_issued_v\d\.ts", waited.value.suggested_filename)
    assert Path(waited.value.path()).read_text().strip() == shown.strip()
    plain.page.context.close()


def test_the_api_gives_the_same_code_as_the_page(shop: Portal) -> None:
    answer = httpx2.get(
        f"{shop.url}/api/v1/streams/{STREAM}/code?language=python",
        headers={"Authorization": f"Bearer {shop.said['admin_token']}"},
        timeout=20,
    )
    assert answer.status_code == 200
    compile(answer.text, "models", "exec")
