# SPDX-License-Identifier: AGPL-3.0-or-later
"""Runs every script of scripts/ over IPv4."""
from lib.case import add_test, main
from lib.script import Script, scripts

for title, text in scripts():
    add_test(f"{title} v4",
             lambda w, v, text=text: Script(w, text, v).run(), 4)

if __name__ == "__main__":
    main()
