// Each of these has to be an error: where one compiles, the line above it says so.

import { LoopkeyError, STATES, createLoopkey } from "loopkey-web";
import "loopkey-web/card";

// @ts-expect-error the issuer is needed
createLoopkey({});
// @ts-expect-error there is no such option
createLoopkey({ issuer: "", port: 28970 });
// @ts-expect-error ports are numbers
createLoopkey({ issuer: "", ports: ["28970"] });

const loopkey = createLoopkey({ issuer: "" });

// @ts-expect-error the library alone changes its state
loopkey.state = { name: "live", reason: "ready" };
// @ts-expect-error nor is anything inside it changed
loopkey.state.name = "live";
// @ts-expect-error the person is the login server's answer
loopkey.person = null;
// @ts-expect-error nobody may be there
loopkey.person.name;
// @ts-expect-error there may be no session
loopkey.session.account;
// @ts-expect-error no such state
if (loopkey.state.name === "connected") loopkey.close();
// @ts-expect-error no such reason
if (loopkey.state.reason === "refused") loopkey.close();
// @ts-expect-error no such presence
if (loopkey.presence?.presence === "offline") loopkey.close();
// @ts-expect-error a person is not passed to a login: it is the one on the card
loopkey.login("ada");
// @ts-expect-error a name is needed
loopkey.action();
// @ts-expect-error a state has no such member
loopkey.addEventListener("state", ({ detail }) => detail.code);
// @ts-expect-error the digits may be gone
loopkey.addEventListener("consent", ({ detail }) => detail.code.length);
// @ts-expect-error no such code
new LoopkeyError("oops");
// @ts-expect-error closed sets
STATES.push("live");
// @ts-expect-error the card wants the object, not its issuer
document.createElement("loopkey-card").loopkey = "https://app.example.com/loopkey";
