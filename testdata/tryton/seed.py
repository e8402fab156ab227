# SPDX-FileCopyrightText: The crmgate authors
# SPDX-License-Identifier: Apache-2.0
"""Fills a fresh Tryton 6.0 database with what the gateway's test looks for.

usage: /usr/bin/python3 seed.py CONFIG DATABASE < people.json

people.json maps logins to passwords. The company, an employee each (the
administrator too), three parties with planted contact data and four opportunities are made; the ids go to
standard output as one line of JSON. Every value that must not reach a masked
reader has the word CANARY, or digits of 555 01, in it.
"""
import datetime
import json
import sys
from decimal import Decimal

from proteus import Model, config

PARTIES = [
    ("Ada Foundry", "+1 202 555 0171", "+1 202 555 0172", "canary.ada@example.test", "CANARY-skype-ada", "7 Canary Lane"),
    ("Borealis Mills", "+1 202 555 0173", "+1 202 555 0174", "canary.borealis@example.test", "CANARY-skype-bo", "8 Canary Lane"),
    ("Cobalt Press", "+1 202 555 0175", "+1 202 555 0176", "canary.cobalt@example.test", "CANARY-skype-co", "9 Canary Lane"),
]
OPPORTUNITIES = [("sally", 0, "Deal north"), ("sally", 1, "Deal south"), ("mark", 1, "Deal east CANARY-row"), ("mark", 2, "Deal west CANARY-row")]


def main():
    people = json.load(sys.stdin)
    conf = config.set_trytond(database=sys.argv[2], user="admin", config_file=sys.argv[1])
    party, company_model = Model.get("party.party"), Model.get("company.company")
    user, group = Model.get("res.user"), Model.get("res.group")
    employee_model, opportunity = Model.get("company.employee"), Model.get("sale.opportunity")

    currency = Model.get("currency.currency")(name="US Dollar", symbol="$", code="USD")
    currency.save()
    def member_of_staff(name):
        # Staff are parties too, and whoever created a record leads to them.
        p = party(name=name)
        p.save()
        party._proxy.write([p.id], {"contact_mechanisms": [("create", [
            {"type": "phone", "value": "+1 202 555 0179"}, {"type": "email", "value": "canary.staff@example.test"}])]}, conf.context)
        return p

    home = member_of_staff("Gate Test Company")
    company = company_model(party=home, currency=currency)
    company.save()
    admin, = user.find([("login", "=", "admin")])
    admin.companies.append(company_model(company.id))
    admin.company = company
    admin.save()
    conf._context = user.get_preferences(True, conf.context)
    boss = employee_model(party=member_of_staff("Boss"), company=company)
    boss.save()
    admin.employees.append(employee_model(boss.id))
    admin.employee = employee_model(boss.id)
    admin.save()

    out = {"company": company.id, "employees": {}, "users": {}, "parties": [], "opportunities": []}
    sales = group.find([("name", "ilike", "%sale%")])
    for login, password in people.items():
        employee = employee_model(party=member_of_staff(login.title()), company=company)
        employee.save()
        u = user(name=login.title(), login=login, email=login + "@example.test", password=password)
        for g in sales:
            u.groups.append(group(g.id))
        u.companies.append(company_model(company.id))
        u.company = company
        u.employees.append(employee_model(employee.id))
        u.employee = employee_model(employee.id)
        u.save()
        out["employees"][login], out["users"][login] = employee.id, u.id

    out["parties"] = party._proxy.create([{
        "name": name, "code": "P%d" % n,
        "contact_mechanisms": [("create", [
            {"type": "phone", "value": phone}, {"type": "mobile", "value": mobile},
            {"type": "email", "value": email}, {"type": "skype", "value": skype}])],
        "addresses": [("create", [{"street": street, "postal_code": "CANARY-%d" % n, "city": "Springfield"}])],
    } for n, (name, phone, mobile, email, skype, street) in enumerate(PARTIES)], conf.context)
    out["opportunities"] = opportunity._proxy.create([{
        "party": out["parties"][p], "company": company.id, "employee": out["employees"][login],
        "start_date": datetime.date(2026, 1, 5), "amount": Decimal("1250.50"), "conversion_probability": 0.5,
        "description": text, "comment": "call %s or %s" % (PARTIES[p][1], PARTIES[p][3]),
    } for login, p, text in OPPORTUNITIES if login in out["employees"]], conf.context)
    json.dump(out, sys.stdout)
    print()


main()
