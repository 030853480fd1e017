/** In which order photos are gone through, and which come next. */

const byId = new WeakMap();

/**
 * What the server says of a photo.
 * @param {Labelling | null} server
 * @param {number | null} id
 * @returns {LabelEntry | null}
 */
export function entry(server, id) {
  if (!server || id === null) return null;
  if (!byId.has(server)) byId.set(server, new Map(server.images.map((one) => [one.id, one])));
  return byId.get(server).get(id) ?? null;
}

/**
 * All photos in their order. As they come, that of the files. In the helpful order: those that were done before, those
 * that were opened since, as they were opened, and then the open ones, most helpful first; where none is open, that of
 * the files again.
 * @param {LabelState} state
 * @returns {number[]}
 */
export function all({ server, visited }) {
  if (!server) return [];
  if (server.order.mode === "files" || !server.order.next.length) return server.images.map(({ id }) => id);
  const seen = new Set(visited.filter((id) => entry(server, id)));
  const next = server.order.next.filter((id) => !seen.has(id));
  const later = new Set([...seen, ...next]);
  return [...server.images.map(({ id }) => id).filter((id) => !later.has(id)), ...seen, ...next];
}

/**
 * Those of them that pass the filter.
 * @param {LabelState} state
 */
export function filtered(state) {
  const { server, filter } = state;
  const label = filter.class === null ? null : (server?.classes ?? []).findIndex(({ name }) => name === filter.class);
  return all(state).filter((id) => passes(/** @type {LabelEntry} */ (entry(server, id)), filter.state, label));
}

/**
 * @param {LabelEntry} one
 * @param {string} wanted state
 * @param {number | null} label of the class, null for every one
 */
function passes(one, wanted, label) {
  const kind = { held: one.held_out, trouble: one.why !== null, suggested: one.suggested > 0 && one.state === "open" };
  const state = wanted === "" || (kind[wanted] ?? one.state === wanted);
  return state && (label === null || one.classes.includes(label));
}

/** The photo so many places further on, null beyond the ends; from the first one where there is none in view. */
export function beside(ids, current, by) {
  const at = ids.indexOf(current);
  return (at < 0 ? ids[0] : ids[at + by]) ?? null;
}

/**
 * Photos without confirmed labels that come after the current one, and then those before it.
 * @param {LabelState} state
 */
export function open(state) {
  const ids = filtered(state);
  const at = ids.indexOf(state.image ?? -1);
  return [...ids.slice(at + 1), ...ids.slice(0, Math.max(0, at))].filter(
    (id) => entry(state.server, id)?.state === "open",
  );
}
