# SPDX-FileCopyrightText: The crmgate authors
# SPDX-License-Identifier: Apache-2.0
"""Prints the cells of workbooks as openpyxl reads them, a line of JSON each: the
rows of each sheet in its order. What it warns of is an error."""

import datetime
import json
import sys
import warnings

import openpyxl

warnings.simplefilter("error", UserWarning)


def plain(value):
    return value.isoformat(" ") if isinstance(value, (datetime.date, datetime.time)) else value


for path in sys.argv[1:]:
    book = openpyxl.load_workbook(path)
    print(json.dumps([[s.title, [[plain(v) for v in row] for row in s.iter_rows(values_only=True)]] for s in book.worksheets]))
