# SPDX-FileCopyrightText: The crmgate authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the workbooks of this folder anew: one table of leads, as the programs
that CRMs use for their exports write it.

    python3 make.py     needs XlsxWriter, openpyxl, LibreOffice, Gnumeric and, in
                        NODE_PATH, exceljs; the tests need none of it

The telephone number, the address and the PAN stand in every place such a program
has for them.
"""

import datetime
import os
import pathlib
import shutil
import subprocess
import tempfile

import openpyxl
import xlsxwriter

PHONE, MAIL, PAN = "+91-9812345670", "meera.nair@canary.example", "BQKPN4821L"
NAMES = ["Id", "OwnerId", "FirstName", "Phone", "EmailAddress", "mx_PAN", "Created", "Amount", "Active", "Notes", "Copy", "Twice"]
HERE = pathlib.Path(__file__).parent
DAY = datetime.datetime(2024, 1, 1)


def full(path, hidden=True):
    """A workbook with everything in it, by XlsxWriter."""
    wb = xlsxwriter.Workbook(path)
    wb.set_properties({"author": MAIL, "comments": PHONE, "created": DAY})
    bold, red = wb.add_format({"bold": True}), wb.add_format({"font_color": "red"})
    moment = wb.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    day = wb.add_format({"num_format": 14})
    money = wb.add_format({"num_format": "#,##0.00"})

    ws = wb.add_worksheet("Leads")
    ws.freeze_panes(1, 0)
    ws.set_column(3, 4, 30)
    ws.write_row(0, 0, NAMES, bold)
    ws.write_row(1, 0, [1, "seller-1", "Asha", PHONE])
    ws.write_url(1, 4, "mailto:" + MAIL, string=MAIL)
    ws.write_string(1, 5, PAN, red)
    ws.write_datetime(1, 6, datetime.datetime(2024, 5, 6, 7, 8, 9), moment)
    ws.write_number(1, 7, 1234.5, money)
    ws.write_boolean(1, 8, True)
    ws.write_rich_string(1, 9, "call ", bold, "98123", red, "-45670", " tomorrow")
    ws.write_formula(1, 10, "=RIGHT(D2,10)", None, "9812345670")
    ws.write_formula(1, 11, "=1/0", None, "#DIV/0!")
    ws.write_row(2, 0, [2, "other", "Ravi", 9812345670, MAIL, PAN])
    ws.write_datetime(2, 6, datetime.datetime(2024, 5, 7), day)
    ws.write_number(2, 7, 99, money)
    ws.write_boolean(2, 8, False)
    ws.write_string(2, 9, "nothing")
    ws.write_formula(2, 10, "=RIGHT(D3,5)", None, "45670")
    ws.write_formula(2, 11, "=H3*2", None, 198)
    ws.write_row(3, 0, [3, "seller-1", "  Zo\u00eb \U0001f600 <&> \"x\"\n_x0041_"])
    ws.write_number(3, 7, -0.1, money)
    ws.write_string(3, 9, "\u0928\u092e\u0938\u094d\u0924\u0947")
    ws.set_row(2, None, None, {"hidden": True})
    ws.add_table(0, 0, 3, 11, {"name": "Leads9812345670", "columns": [{"header": n} for n in NAMES]})
    ws.merge_range("D7:E8", "")
    ws.write_comment("D2", PHONE + " " + MAIL)
    ws.data_validation("J9", {"validate": "list", "source": [PHONE, MAIL]})
    ws.conditional_format("C2:C9", {"type": "text", "criteria": "containing", "value": PHONE, "format": red})
    ws.set_header("&L" + MAIL)

    old = wb.add_worksheet("Old")
    old.write_row(0, 0, ["Id", "OwnerId", "Phone"])
    old.write_row(1, 0, [7, "seller-1", PHONE])
    if hidden:
        secret = wb.add_worksheet("Secret")
        secret.write_row(0, 0, [PHONE, MAIL, PAN])
        secret.hide()
    wb.define_name("secret", '="' + PHONE + '"')
    wb.close()


def rows(path):
    """The plain table, row by row without shared strings, by XlsxWriter."""
    wb = xlsxwriter.Workbook(path, {"constant_memory": True})
    wb.set_properties({"author": MAIL, "created": DAY})
    ws = wb.add_worksheet("Leads")
    moment = wb.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    ws.write_row(0, 0, NAMES[:10])
    ws.write_row(1, 0, [1, "seller-1", "Asha", PHONE, MAIL, PAN])
    ws.write_datetime(1, 6, datetime.datetime(2024, 5, 6, 7, 8, 9), moment)
    ws.write_row(1, 7, [1234.5, True, "call 98123-45670 tomorrow"])
    ws.write_row(2, 0, [2, "other", "Ravi", 9812345670, MAIL, PAN])
    wb.close()


EXCELJS = """
const E = require("exceljs"), [from, to, stream] = process.argv.slice(1);
(async () => {
  const wb = new E.Workbook();
  await wb.xlsx.readFile(from);
  await wb.xlsx.writeFile(to);
  const w = new E.stream.xlsx.WorkbookWriter({filename: stream, useStyles: true});
  const ws = w.addWorksheet("Leads"), old = wb.getWorksheet("Leads");
  for (const n of [1, 2, 3]) {
    const row = ws.addRow(old.getRow(n).values.slice(1, 11).map(v => v && v.hyperlink ? v.text : v));
    row.getCell(7).numFmt = "yyyy-mm-dd hh:mm:ss";
    row.commit();
  }
  await w.commit();
})();
"""


def main():
    with tempfile.TemporaryDirectory() as tmp:
        whole = pathlib.Path(tmp, "xlsxwriter.xlsx")
        full(whole)
        rows(pathlib.Path(tmp, "xlsxwriter-rows.xlsx"))
        openpyxl.load_workbook(whole).save(pathlib.Path(tmp, "openpyxl.xlsx"))
        out = pathlib.Path(tmp, "office")
        subprocess.run(["soffice", "-env:UserInstallation=file://" + tmp + "/profile", "--headless", "--convert-to", "xlsx", "--outdir", out, whole], check=True)
        out.joinpath(whole.name).rename(pathlib.Path(tmp, "libreoffice.xlsx"))
        seen = pathlib.Path(tmp, "seen")
        full(seen, hidden=False)  # Gnumeric would show what is hidden
        subprocess.run(["ssconvert", seen, pathlib.Path(tmp, "gnumeric.xlsx")], check=True)
        subprocess.run(["node", "-e", EXCELJS, whole, pathlib.Path(tmp, "exceljs.xlsx"), pathlib.Path(tmp, "exceljs-stream.xlsx")], check=True, env=os.environ)
        for made in pathlib.Path(tmp).glob("*.xlsx"):
            shutil.copy(made, HERE)


if __name__ == "__main__":
    main()
