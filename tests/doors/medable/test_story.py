"""The contract in one breath (docs/dialects/medable.md)."""

from __future__ import annotations

from datetime import timedelta

from cast import House
from doors.medable.sharing import AT, accepts, defines, done, fault, makes, offers, shares, token_of


async def test_user_a_shares_with_user_b_who_loses_it_again(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    assert (await house.pat.get(f"{AT}/c_prescriptions/{record}")).status_code == 404
    made = await offers(house.ada, record, {"object": "account", "email": "pat@mail.example", "access": 4})
    assert made["state"] == 0
    assert "token" not in made
    token = await token_of(house.pat, made["_id"])
    fault(
        await house.rui.send("POST", f"{AT}/connections/{token}"), 400, "kInvalidArgument", "connectionToken"
    )
    active = await accepts(house.pat, made["_id"])
    assert (active["_id"], active["state"]) == (made["_id"], 1)
    assert not {"token", "expiresAt"} & active.keys()

    read = done(await house.pat.get(f"{AT}/c_prescriptions/{record}"))
    assert (read["access"], read["drug"], read["shared"]) == (4, "aspirin", True)
    fault(
        await house.pat.send(
            "PUT", f"{AT}/c_prescriptions/{record}", b'{"drug": "x"}', Content_Type="application/json"
        ),
        403,
        "kAccessDenied",
    )
    assert [one["_id"] for one in done(await house.pat.get(f"{AT}/c_prescriptions"))["data"]] == [record]
    fault(
        await shares(house.pat, record, {"email": "zoe@harbor.example", "access": 2}),
        403,
        "kAccessDenied",
        "shareAccess",
    )

    assert done(await house.ada.send("DELETE", f"{AT}/connections/{made['_id']}")) == {
        "object": "result",
        "data": True,
    }
    fault(await house.pat.get(f"{AT}/c_prescriptions/{record}"), 404, "kNotFound", "notFound.instance")
    assert done(await house.pat.get(f"{AT}/c_prescriptions"))["data"] == []
    again = await offers(house.ada, record, {"email": "pat@mail.example", "access": 4})
    token = await token_of(house.pat, again["_id"])
    house.clock.now += timedelta(days=7)
    fault(
        await house.pat.send("POST", f"{AT}/connections/{token}"), 400, "kInvalidArgument", "connectionToken"
    )
    await house.must_be_sound()
