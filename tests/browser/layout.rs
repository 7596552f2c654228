//! The card keeps its size while it changes what it shows. Only where it draws the way through the browser's own windows may
//! it be higher: nothing goes on there before somebody has read it.

use std::collections::BTreeMap;

use crate::desk::{Desk, Site};
use crate::support::browser::Engine;

/// Draws the card in every lasting situation and answers the heights in pixels.
const HEIGHTS: &str = r#"(async () => {
  const { wordsFor } = await import('/sdk/words.js');
  await import('/sdk/loopkey-card.js');
  const person = { subject: 's', name: 'Ada Lovelace', avatar: null };
  const live = { state: { name: 'live', reason: 'ready' }, presence: { presence: 'signed_in' }, person };
  const at = (name, reason) => ({ state: { name, reason } });
  const situations = {
    looking: at('probing', 'page_load'), invite: at('unknown', 'needs_click'), asking: at('asking', 'permission_prompt'),
    absent: at('absent', 'not_running'), busy: at('absent', 'busy'), offline: at('live', 'issuer_unreachable'),
    person: live, away: { ...live, presence: { presence: 'away' } }, locked: { ...live, presence: { presence: 'locked' } },
    signed_out: { ...live, presence: { presence: 'signed_out' }, person: null },
    unverified: { ...at('live', 'unverified'), presence: live.presence },
    done: { ...live, session: person },
    incompatible: at('incompatible', 'version'), unsupported: at('incompatible', 'unsupported_browser'),
  };
  for (const reason of Object.keys(wordsFor('en').blocked)) situations[reason] = at('blocked', reason);
  const heights = {};
  const place = document.createElement('div');
  document.querySelector('#card').replaceWith(place);
  for (const lang of ['en', 'zh']) {
    for (const [name, situation] of Object.entries(situations)) {
      const card = document.createElement('loopkey-card');
      card.setAttribute('lang', lang);
      card.setAttribute('app', 'Harbor');
      card.setAttribute('open', 'https://app.example.com/');
      card.loopkey = Object.assign(new EventTarget(), { session: null, presence: null, person: null, ...situation });
      place.replaceChildren(card);
      const drawn = card.shadowRoot.querySelector('#steps') ? 'drawn ' : '';
      heights[`${drawn}${lang} ${name}`] = Math.round(card.getBoundingClientRect().height);
      if (name !== 'person') continue;
      for (const code of Object.keys(wordsFor('en').errors).filter((code) => code !== 'cancelled')) {
        card.loopkey.login = () => Promise.reject({ code });
        card.shadowRoot.querySelector('#login').click();
        await new Promise((resolve) => card.addEventListener('loopkey-error', () => setTimeout(resolve), { once: true }));
        heights[`${lang} error ${code}`] = Math.round(card.getBoundingClientRect().height);
      }
      let refuse;
      card.loopkey.login = () => new Promise((_, reject) => { refuse = reject; });
      card.shadowRoot.querySelector('#login').click();
      heights[`${lang} signing`] = Math.round(card.getBoundingClientRect().height);
      card.loopkey.dispatchEvent(new CustomEvent('consent', { detail: { code: '47' } }));
      heights[`${lang} consent`] = Math.round(card.getBoundingClientRect().height);
      refuse({ code: 'denied' });
    }
  }
  return heights;
})()"#;

#[tokio::test]
async fn the_card_is_as_high_in_every_state() {
    let desk = Desk::new(Engine::Chromium, Site::Local).await;
    desk.open(Site::Local).await;
    let heights: BTreeMap<String, u32> = desk.site.eval(HEIGHTS).await.expect("the heights");
    let (drawn, heights): (Vec<_>, Vec<_>) = heights.iter().partition(|(name, _)| name.starts_with("drawn "));
    let highest = heights.iter().map(|(_, height)| *height).max().expect("some");
    let others: Vec<_> = heights.iter().filter(|(_, height)| *height != highest).collect();
    assert!(others.is_empty(), "{highest} px, but {others:?}");
    let reasons =
        ["asking", "dismissed", "denied"].map(|reason| ["en", "zh"].map(|lang| format!("drawn {lang} {reason}")));
    let mut reasons = reasons.concat();
    reasons.sort();
    assert_eq!(drawn.iter().map(|(name, _)| (*name).clone()).collect::<Vec<_>>(), reasons);
    assert!(drawn.iter().all(|(_, height)| (*highest..=480).contains(*height)), "{drawn:?}");
    desk.leave().await;
}
