import assert from "node:assert/strict";
import { test } from "node:test";
import { cardView } from "../card-view.js";
import { FakeAgent, FakeIssuer, started } from "./support.js";

/** A page where nobody answers; the login server names a scheme. */
async function asleep({ scheme = "loopkey", ...more } = {}) {
  const agent = Object.assign(new FakeAgent(), { listening: false });
  const issuer = Object.assign(new FakeIssuer(), { scheme });
  return started({ agents: [agent], issuer, ...more });
}

/** A page that has seen the person, and then lost the agent. */
async function lost() {
  const issuer = Object.assign(new FakeIssuer(), { scheme: "loopkey" });
  const here = await started({ issuer });
  here.agent.stop();
  await here.clock.advance(5_000);
  return here;
}

test("asleep: only where the login server names our scheme, and nothing is launched by itself", async () => {
  const { loopkey, launched, clock, issuer } = await asleep();
  assert.deepEqual(loopkey.state, { name: "absent", reason: "asleep" });
  await clock.advance(300_000);
  assert.deepEqual(launched, []);
  assert.equal(issuer.count("/.well-known/loopkey.json"), 1, "asked once");
  for (const scheme of ["", "calc", "javascript", "LOOPKEY", "loopkey:wake", ["loopkey"], null]) {
    assert.equal((await asleep({ scheme })).loopkey.state.reason, "not_running", String(scheme));
  }
});

test("where the agent answers, nobody asks for the scheme", async () => {
  const { issuer } = await started({ issuer: Object.assign(new FakeIssuer(), { scheme: "loopkey" }) });
  assert.equal(issuer.count("/.well-known/loopkey.json"), 0);
});

test("a login server that says it late, and one that could not say it at first", async () => {
  const slow = Object.assign(new FakeIssuer(), { scheme: "loopkey", slow: { "/.well-known/loopkey.json": [3_000] } });
  const here = await started({ agents: [], issuer: slow });
  await here.clock.advance(1_100);
  assert.equal(here.loopkey.state.reason, "not_running");
  await here.clock.advance(2_000);
  assert.equal(here.loopkey.state.reason, "asleep");

  const failing = Object.assign(new FakeIssuer(), { scheme: "loopkey", scripted: { "/.well-known/loopkey.json": [[500]] } });
  const again = await started({ agents: [], issuer: failing });
  assert.equal(again.loopkey.state.reason, "not_running");
  again.loopkey.connect();
  await again.clock.advance(50);
  assert.equal(again.loopkey.state.reason, "asleep");
});

test("the launch is in the click itself, and is always the same link", async () => {
  const { loopkey, launched } = await asleep();
  loopkey.wake();
  assert.deepEqual(launched, ["loopkey:wake"], "nothing was awaited before: a browser would forget the click");
});

test("a click that has opened something itself is only waited for", async () => {
  const { loopkey, launched, clock } = await asleep();
  loopkey.wake({ launched: true });
  await clock.advance(50);
  assert.deepEqual([launched, loopkey.state.name], [[], "waking"]);
});

test("wake and wait: launched, slow after 3 s, given up after 20 s, found all the same when it comes", async () => {
  const { loopkey, states, clock, probes, agent } = await asleep();
  const before = states().length;
  const first = probes.length;
  loopkey.wake();
  await clock.advance(0);
  const at = [];
  for (let passed = 0; passed <= 20_500; passed += 50) {
    const seen = probes.length;
    await clock.advance(50);
    if (probes.length > seen) at.push(Math.floor(passed / 50) * 50 + 50);
  }
  assert.deepEqual(states().slice(before), ["waking/launched", "waking/slow", "absent/not_woken"]);
  assert.deepEqual(at.slice(0, 5), [250, 500, 1_000, 2_000, 3_000]);
  assert.ok(at.length >= 22 && probes.length - first >= 44, "each second, both ports");
  agent.listening = true;
  await clock.advance(2_500);
  assert.equal(loopkey.state.name, "live");
});

test("the state turns to slow at three seconds", async () => {
  const { loopkey, clock } = await asleep();
  loopkey.wake();
  await clock.advance(2_900);
  assert.equal(loopkey.state.reason, "launched");
  await clock.advance(200);
  assert.equal(loopkey.state.reason, "slow");
});

test("an agent that has started is found at the next look", async () => {
  const { loopkey, agent, clock, states } = await asleep();
  loopkey.wake();
  await clock.advance(1_200);
  agent.listening = true;
  await clock.advance(900);
  assert.equal(loopkey.state.name, "live");
  assert.equal(loopkey.person.name, "Ada Lovelace");
  assert.ok(!states().includes("absent/not_woken"));
});

test("a policy that forbids the probe: sockets after 2 and 8 seconds, and no more", async () => {
  const { loopkey, clock, dials } = await asleep({ noProbe: true });
  const rounds = [];
  loopkey.wake();
  for (let passed = 0; passed < 25_000; passed += 250) {
    const seen = dials.length;
    await clock.advance(250);
    if (dials.length > seen) rounds.push(passed + 250);
  }
  assert.deepEqual(rounds, [2_000, 8_000]);
  assert.equal(loopkey.state.reason, "not_woken");
});

test("a page whose browser may ask dials only, one port after the other", async () => {
  const { loopkey, agent, clock, dials, probes } = await asleep({ permission: "prompt" });
  loopkey.wake();
  await clock.advance(3_000);
  assert.deepEqual(probes, []);
  assert.equal(dials.length, 8, "at once, and after 0.5, 1 and 2 s");
  agent.listening = true;
  await clock.advance(1_100);
  assert.equal(loopkey.state.name, "live");
});

test("a second click launches again", async () => {
  const { loopkey, launched, clock, states } = await asleep();
  loopkey.wake();
  await clock.advance(21_000);
  loopkey.wake();
  await clock.advance(50);
  assert.equal(launched.length, 2);
  assert.equal(states().at(-1), "waking/launched");
});

test("a name was clicked, and its client is not running: launched, and signed in when that person is back", async () => {
  const { loopkey, agent, clock, launched, issuer } = await lost();
  assert.deepEqual([loopkey.state.reason, loopkey.canWakeFor?.name], ["asleep", "Ada Lovelace"]);
  const login = loopkey.login();
  assert.deepEqual(launched, ["loopkey:wake"]);
  await clock.advance(1_500);
  assert.equal(issuer.count("/v1/login"), 0);
  // A restarted agent holds the person for locked until its client speaks.
  agent.state = { ...agent.state, presence: "locked" };
  agent.listening = true;
  await clock.advance(1_500);
  assert.equal(issuer.count("/v1/login"), 0);
  agent.push({ presence: "signed_in" });
  await clock.advance(50);
  await login;
  assert.equal(loopkey.session.name, "Ada Lovelace");
});

test("another person, or nobody, or no agent: nobody is signed in", async () => {
  const cases = {
    switched: ({ agent, issuer }) => {
      issuer.account = { subject: "s-lin", name: "Lin", avatar: null };
      agent.state = { ...agent.state, epoch: 2 };
      agent.listening = true;
    },
    signed_out: ({ agent }) => {
      agent.state = { ...agent.state, presence: "signed_out", epoch: 2 };
      agent.listening = true;
    },
    locked: ({ agent }) => {
      agent.state = { ...agent.state, presence: "locked" };
      agent.listening = true;
    },
    no_person: ({ agent }) => Object.assign(agent, { enrolled: false, listening: true }),
    not_woken: () => {},
  };
  for (const [code, happens] of Object.entries(cases)) {
    const here = await lost();
    if (code === "no_person") here.issuer.scripted["/v1/presence"] = [[401, { error: "invalid_proof" }], [401, { error: "invalid_proof" }]];
    const outcome = here.loopkey.login().then(() => "signed in", (error) => error.code);
    await here.clock.advance(500);
    happens(here);
    await here.clock.advance(40_000);
    assert.equal(await outcome, code);
    assert.equal(here.issuer.count("/v1/login"), 0, code);
  }
});

test("cancel ends the wait, and nothing is signed in later", async () => {
  const { loopkey, agent, clock, issuer } = await lost();
  const outcome = loopkey.login().catch((error) => error.code);
  await clock.advance(500);
  loopkey.cancel();
  assert.equal(await outcome, "cancelled");
  agent.listening = true;
  await clock.advance(10_000);
  assert.deepEqual([loopkey.state.name, issuer.count("/v1/login")], ["live", 0]);
});

test("without a scheme a login needs an agent", async () => {
  const here = await started();
  here.agent.stop();
  await here.clock.advance(5_000);
  await assert.rejects(here.loopkey.login(), { code: "not_connected" });
  assert.deepEqual(here.launched, []);
});

test("the card: a button that wakes where that helps, words for the wait, and what to do when it was in vain", () => {
  const view = (state, more = {}, speech = {}) => cardView(
    { state, presence: null, person: null, session: null, busy: false, code: null, error: null, ...more },
    { lang: "en", app: "Harbor", ...speech },
  );
  const ids = ({ actions }) => actions.map(({ id }) => id);
  const [sleeping, failed] = ["asleep", "not_woken"].map((reason) => ({ name: "absent", reason }));
  assert.deepEqual(ids(view({ name: "absent", reason: "not_running" })), ["retry"]);
  assert.deepEqual(ids(view(sleeping)), ["wake", "retry"]);
  assert.equal(view(sleeping).actions[0].label, "Open Harbor");
  assert.deepEqual(ids(view(sleeping, {}, { href: "https://app.example/open" })), ["open", "retry"], "the site knows better");
  const ada = { name: "Ada Lovelace", avatar: null };
  assert.deepEqual(view(sleeping, { person: ada }).actions[0], { id: "login", label: "Continue as Ada Lovelace" });
  assert.equal(view({ name: "waking", reason: "launched" }).title, "Starting Harbor…");
  assert.equal(view({ name: "waking", reason: "slow" }, {}, { lang: "zh" }).title, "正在等待 Harbor…");
  assert.equal(view(failed).title, "Harbor didn’t start");
  assert.match(view(failed).text, /choose Open.*start Harbor yourself, or install it/);
  assert.deepEqual(ids(view(failed)), ["wake", "retry"]);
});
