/** All that is computed of one image at one layer under one criterion, each part when it is first asked for. */

import * as Assignment from "./assignment.js";
import * as Data from "./data.js";
import * as Loss from "./loss.js";

const made = new WeakMap();

/**
 * The scene that a state looks at; those of all its layers are kept until it looks elsewhere.
 * @param {Payload} payload
 */
export function of(payload, { image: index, layer, criterion }) {
  const image = payload.images[index];
  let known = made.get(image);
  if (!known || known.criterion !== criterion) made.set(image, (known = { criterion, layers: [] }));
  return (known.layers[layer] ??= create(payload, image, layer, criterion));
}

/**
 * Go to another layer. If the pair in view was matched, it becomes the target with its query of that layer.
 * @param {Payload} payload
 * @param {PageState} state
 */
export function toLayer(payload, state, layer) {
  const { image, criterion, target, query } = state;
  const own = target !== null && of(payload, state).match[target] === query;
  state.set({ layer, query: own ? of(payload, { image, criterion, layer }).match[target] : query });
}

/** Compute a property once, when it is read. */
function lazily(object, name, compute) {
  Object.defineProperty(object, name, {
    configurable: true,
    get: () => {
      const value = compute();
      Object.defineProperty(object, name, { value });
      return value;
    },
  });
}

/**
 * @param {Payload} payload
 * @param {ReportImage} image
 * @param {Criterion} criterion
 */
function create(payload, image, layer, criterion) {
  const scene = {
    image,
    layer,
    criterion,
    targets: image.targets.labels.map((_, t) => t),
    queries: Array.from({ length: image.boxes.shape[1] }, (_, q) => q),
    /** What training was given by this layer. */
    recorded: Array.from(Data.row(image.match, layer)),
    isRecorded: criterion === payload.criterion,
    /** Queries of the model, also those that are not on the page. */
    queryCount: image.boxes.shape[1] + image.dropped.count,
    /** The model's own number of a query. */
    number: (query) => Data.array(image.queries).values[query],
    className: (target) => payload.classes[image.targets.labels[target]],
    targetBox: (target) => Data.row(image.targets.boxes, target),
    queryBox: (query) => Data.row(image.boxes, layer, query),
    /** Probability that a query gives a target's class. */
    probability: (target, query) => Loss.probability(image, layer, target, query, criterion.form),
    /** The most likely class of a query and its probability. */
    best: (query) => ({
      name: payload.classes[Data.row(image.best_label, layer)[query]],
      score: Data.row(image.best_score, layer)[query],
    }),
  };
  lazily(scene, "costs", () => Loss.costs(image, layer, criterion));
  lazily(scene, "match", () => (scene.isRecorded ? scene.recorded : Assignment.solve(scene.costs.total).match));
  lazily(scene, "total", () => Assignment.total(scene.costs.total, scene.match));
  lazily(scene, "greedy", () => Assignment.greedy(scene.costs.total));
  lazily(scene, "regrets", () => Assignment.regrets(scene.costs.total));
  lazily(scene, "loss", () => Loss.of(image, layer, criterion, scene.match));
  lazily(scene, "targetOf", () => {
    const owner = scene.queries.map(() => -1);
    scene.match.forEach((query, target) => query >= 0 && (owner[query] = target));
    return owner;
  });
  return scene;
}
