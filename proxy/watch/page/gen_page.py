#!/usr/bin/env python3
"""Turns index.html into a C file: its bytes, and the Content-Security-Policy that allows its own script and styles only.

usage: gen_page.py index.html page.c
"""

import base64
import hashlib
import re
import sys


def digests(html, tag):
    """The policy's sources for what stands in <tag> elements."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.S)
    assert found, f"no <{tag}> in the page"
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in found)


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        html = file.read()
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", html), "the page must not load anything from elsewhere"
    policy = (f"default-src 'none'; script-src {digests(html, 'script')}; style-src {digests(html, 'style')}; "
              "connect-src 'self'; base-uri 'none'; form-action 'none'; "
              "frame-ancestors 'none'")
    data = html.encode()
    rows = [", ".join(str(byte) for byte in data[i:i + 24]) for i in range(0, len(data), 24)]
    with open(target, "w", encoding="utf-8") as file:
        file.write('#include "proxy/watch/page/page.h"\n\n')
        file.write(f'const char page_policy[] = "{policy}";\n')
        file.write("const unsigned char page_html[] = {\n" + ",\n".join(rows) + "};\n")
        file.write("const size_t page_html_len = sizeof(page_html);\n")


if __name__ == "__main__":
    main()
