/** The image, layer and pair in view, shared by all views of a page. */

/**
 * An observable record: read its fields, `set` some of them, `on` hears of what changed.
 * @param {object} fields e.g. {image: 0, layer: 2, target: null, query: null, pinned: false, criterion}
 * @returns {object} the fields, with `set(changes)` and `on(listener) -> stop`; a listener gets the changed names
 */
export function create(fields) {
  const listeners = new Set();
  const state = { ...fields };
  Object.defineProperties(state, { set: { value: set }, on: { value: on } });

  function set(changes) {
    const changed = new Set(Object.keys(changes).filter((name) => state[name] !== changes[name]));
    if (!changed.size) return;
    Object.assign(state, changes);
    for (const listener of [...listeners]) listener(changed);
  }

  function on(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }
  return state;
}

/**
 * Look at a pair for as long as the pointer rests on it; nothing happens while another one is pinned.
 * @param {PageState} state
 */
export function hover(state, target, query) {
  if (!state.pinned) state.set({ target, query });
}

/**
 * Hold on to a pair; once more lets go.
 * @param {PageState} state
 */
export function pin(state, target, query) {
  const again = state.pinned && state.target === target && state.query === query;
  state.set({ target, query, pinned: !again });
}
