# SPDX-License-Identifier: MIT OR GPL-2.0
# A real browser visits the sample site that the module serves

.PHONY: check-browser
check-browser:
	tests/browser/run artifacts/browser.png
LONG += check-browser
