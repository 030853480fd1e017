// What Python writes into a page, and the records that modules hand to each other. Names are global to the checker.
// Shapes stand in setpiece/explain: payload.py, payload_image.py, payload_training.py and architecture.py.

/** A row-major array: little-endian numbers in base64. */
interface Encoded {
  shape: number[];
  dtype: "f4" | "i4" | "u1";
  data: string;
}

/** Numbers in their order: a plain array or a view of a decoded one. */
type Numbers = ArrayLike<number> & Iterable<number>;

/** [centre x, centre y, width, height], in fractions of the image. */
type Box = Numbers;

type Form = "softmax" | "sigmoid";
type Term = "class" | "l1" | "giou";
type Terms<T = number> = Record<Term, T>;

interface Criterion {
  form: Form;
  weights: Terms;
  cost_weights: Terms;
  no_object_weight: number;
  quality_power: number;
  negative_weight: number;
}

/** What `setpiece doctor` writes: see setpiece/data/checks/page.py. */
interface ExaminedPayload {
  kind: string;
  title: string;
  images: Record<string, number>;
  findings: Examined[];
}

interface Examined {
  check: string;
  severity: "error" | "warning" | "note";
  split: string | null;
  count: number;
  what: string;
  advice: string;
  examples: {
    text: string;
    picture: string | null;
    width: number;
    height: number;
    box_xyxy: [number, number, number, number] | null;
  }[];
}

/** An evaluation, as the page of `setpiece eval --report` or a chapter: see setpiece/inference/analysis_page.py. */
interface Evaluated {
  sentence: string;
  steps: string[];
  images: number;
  metrics: Record<string, number | null>;
  classes: EvaluatedClass[];
  /** How many errors of a kind there are at each step of the slider. */
  errors: { kind: string; is: string; at: number[]; at_best: number; cost: number | null }[];
  pictures: EvaluatedPicture[];
  confusion: number[][];
  calibration: {
    error: number | null;
    confidence: (number | null)[];
    precision: (number | null)[];
    count: number[];
  };
}

type EvaluatedPayload = Evaluated & { kind: string; title: string };

interface EvaluatedPicture {
  kind: string;
  name: string;
  src: string;
  width: number;
  height: number;
  detection: { class: number; score: number; box: number[] } | null;
  /** `on`: the detections that keep it from being missed. */
  object: { id: number; class: number; box: number[]; on: { class: number; score: number }[] } | null;
}

interface EvaluatedClass {
  name: string;
  objects: number;
  AP: number | null;
  AR100: number | null;
  best: number | null;
  /** The best one, or the usual one where there is none. */
  threshold: number;
  at_best: { precision: number | null; recall: number | null; F1: number | null };
  /** Precision, recall and F1 at each step of the slider. */
  at: (number | null)[][];
  /** The corners of F1 over the threshold. */
  f1: number[][];
  recall: (number | null)[];
  precision: (number | null)[];
}

/** What `setpiece compare --report` writes: see setpiece/explain/comparison.py. */
interface ComparedPayload {
  kind: string;
  title: string;
  models: string[];
  rows: {
    model: string;
    AP: number | null;
    AP_interval: (number | null)[];
    AP50: number | null;
    difference: number | null;
    interval: (number | null)[] | null;
  }[];
  images: ComparedImage[];
}

interface ComparedImage {
  model: number;
  change: number;
  name: string;
  width: number;
  height: number;
  src: string;
  targets: { class: string; box: number[] }[];
  sides: ComparedSide[];
}

interface ComparedSide {
  model: number;
  /** Those that `change` counts. */
  detections: { class: string; score: number; box: number[]; right: boolean }[];
  /** Of each target. */
  pairs: ({ query: number; class: string; score: number; box: number[]; iou: number; cost: number } | null)[];
}

/** What `setpiece watch` serves: see setpiece/explain/live.py. */
interface WatchedPayload {
  kind: string;
  title: string;
  version: string;
  classes: string[];
  training: Training | null;
  missing: string[];
}

/** What the page of `setpiece watch` asks for again and again. */
interface Watched {
  version: string;
  epoch: number;
  step: number;
  /** Share of the run, null where it is not known. */
  done: number | null;
  /** Seconds to its end, as it goes on. */
  left: number | null;
  /** How it ended, null while it trains. */
  ended: string | null;
  images_per_second: number | null;
  learning_rate: number | null;
  /** Seconds since the run wrote something. */
  age: number;
}

/** What a reader of the Training chapter looks at. */
interface Kept {
  term?: string;
  view?: { probe: number; layer: number; target: number | null };
  /** Of the snapshot; null for the latest. */
  epoch?: number | null;
}

/** The page that detects: see setpiece/export/page.py and setpiece/serving/page.py. */
interface DetectPayload {
  kind: string;
  title: string;
  classes: string[];
  /** The model's own threshold of each class. */
  thresholds: number[] | null;
  /** Where the slider begins. */
  threshold: number;
  /** Of the model in the page; null where a server has it. */
  info: ModelInfo | null;
  runtime: { name: string; licence: string } | null;
  server: { path: string; token: boolean } | null;
}

/** What an exported model says of itself: see setpiece/inference/model_info.py. */
interface ModelInfo {
  preset: string;
  classes: string[];
  shortest: number;
  longest: number;
  canvas: number[] | null;
  least_area: number;
  precision: "fp32" | "fp16" | "int8";
  metrics: Record<string, unknown> | null;
  licence: string | null;
  made_with: Record<string, string>;
}

/** `box` is left, top, right, bottom in pixels of the image. */
interface Detection {
  label: number;
  score: number;
  box: number[];
}

interface Found {
  detections: Detection[];
  milliseconds: number;
  /** What was done to the image that its user may not expect, in sentences. */
  notes?: string[];
}

/** An image that is read a band of rows at a time, as RGBA without transparency. */
interface Pixels {
  width: number;
  height: number;
  rows(top: number, count: number): Uint8ClampedArray;
  /** Whether its file has more frames, which a browser plays. */
  animated: boolean;
  /** Its file. */
  blob(): Promise<Blob>;
  close(): void;
}

/** What detects: the model in the page, or the server. */
interface Detects {
  detect(image: Pixels): Promise<Found>;
}

/** An image in the page with what was detected. */
type Result = Found & {
  name: string;
  width: number;
  height: number;
  element: HTMLElement;
  draw(): void;
  remove(): void;
};

type DetectState = Observable<{ threshold: number; own: boolean; hidden: Set<number> }>;

/** The page of `setpiece label`: see setpiece/labelling. */
interface LabelPayload {
  kind: string;
  title: string;
  token_needed: boolean;
  /** The least and the most that a longer training may take. */
  minutes: number[];
}

/** What its server says of everything but the boxes of one photo. */
interface Labelling {
  version: string;
  name: string;
  photos: string;
  output: string;
  classes: { name: string }[];
  images: LabelEntry[];
  order: { mode: "helpful" | "files"; next: number[] };
  training: { state: string; round: number; labelled_needed: number; said: string; done: number | null };
  progress: LabelProgress;
  undo: string | null;
  redo: string | null;
  final: { id: string; state: string; done: number | null; folder: string; said: string; ap: number | null } | null;
  said: { id: number; text: string }[];
}

type LabelStatus = "open" | "labelled" | "empty" | "missing" | "broken";

interface LabelEntry {
  id: number;
  file: string;
  width: number;
  height: number;
  state: LabelStatus;
  /** What is wrong with a photo that is missing or broken. */
  why: string | null;
  held_out: boolean;
  revision: number;
  boxes: number;
  classes: number[];
  suggested: number;
  /** The round of training whose suggestions it has. */
  round: number | null;
}

interface LabelProgress {
  labelled: number;
  all: number;
  boxes_per_class: number[];
  held_out: { labelled: number; all: number };
  seconds: number;
  ap: LabelRound[];
  forecast: { images: number; low: number; high: number } | null;
}

interface LabelRound {
  round: number;
  labelled: number;
  boxes: number;
  ap: number;
  low: number;
  high: number;
}

/** `box` is left, top, right, bottom in pixels of the photo. */
interface LabelBox {
  box: number[];
  class: number;
}

type SuggestedBox = LabelBox & { score: number };

/** The boxes of a photo. */
interface LabelDocument {
  id: number;
  revision: number;
  state: LabelStatus;
  boxes: LabelBox[];
  suggestions: SuggestedBox[];
  round: number | null;
}

/** The box or suggestion in hand, by its place in the document. */
interface LabelAt {
  of: "boxes" | "suggestions";
  index: number;
}

/** One change on its way to the server. */
interface LabelChange {
  id: number;
  state: LabelStatus;
  boxes: LabelBox[];
  action: string;
}

interface LabelFilter {
  state: string;
  /** Its name. */
  class: string | null;
}

type LabelState = Observable<{
  server: Labelling | null;
  /** Of the photo in view. */
  image: number | null;
  doc: LabelDocument | null;
  at: LabelAt | null;
  /** A box that was drawn before there is a class. */
  nameless: number[] | null;
  /** The class of the next box. */
  brush: number;
  threshold: number;
  suggesting: boolean;
  crosshair: boolean;
  /** Suggestions of the photo in view that were rejected. */
  rejected: SuggestedBox[];
  filter: LabelFilter;
  /** Photos in the order in which they were opened. */
  visited: number[];
  view: string;
  /** Changes that the server has not answered, and why not. */
  unsaved: { count: number; trouble: string | null };
  busy: boolean;
  said: string;
}>;

/** The second look: labels that a model contradicts which has not seen their photo. */
interface SecondLook {
  state: "none" | "running" | "ready" | "failed";
  done: number | null;
  said: string;
  rows: SuspiciousLabel[];
}

interface SuspiciousLabel {
  id: string;
  kind: "class" | "unseen" | "missing" | "off";
  image: number;
  box: number[];
  class: number | null;
  suggestion: SuggestedBox | null;
  cost: Terms | null;
  text: string;
  decision: "keep" | "apply" | null;
}

interface Payload {
  format: number;
  kind: string;
  title: string;
  classes: string[];
  criterion: Criterion;
  layers: string[];
  images: ReportImage[];
  findings: Finding[];
  model: Model | null;
  training: Training | null;
  evaluation?: Evaluated | null;
  /** The examples of the tour. */
  chapters: any;
  missing: string[];
}

type PayloadWithModel = Payload & { model: Model };
type PayloadWithTraining = Payload & { training: Training };

interface ReportImage {
  name: string;
  width: number;
  height: number;
  src: string | null;
  note: string | null;
  queries: Encoded;
  targets: { labels: number[]; boxes: Encoded };
  boxes: Encoded;
  columns: number[];
  scores: Encoded;
  rest: Encoded;
  dropped: { count: number; rest: Encoded };
  best_label: Encoded;
  best_score: Encoded;
  match: Encoded;
  loss: Record<string, number>[];
  duplicates: Duplicate[];
}

interface Duplicate {
  layer: number;
  target: number;
  query: number;
  matched_query: number;
  score: number;
  iou: number;
  reason: string;
}

interface Finding {
  text: string;
  image: number | null;
  layer: number | null;
  target: number | null;
  query: number | null;
}

interface Model {
  preset: string;
  form: Form;
  parameters: number;
  queries: number;
  input: number[];
  layers: string[];
  decoder_layers: string[];
  parts: Part[];
  images: ModelImage[];
}

interface Part {
  role?: string;
  path: string;
  title: string;
  kind: string;
  about: string;
  parameters: number;
  calls: number;
  inputs: number[][];
  outputs: number[][];
  parts: Part[];
}

interface ModelImage {
  image: number;
  queries: Encoded;
  labels: Encoded;
  scores: Encoded;
  boxes: Encoded;
  start: Encoded | null;
  attention: AttentionMap | AttentionPoints | null;
}

interface AttentionMap {
  kind: "map";
  extent: number[];
  weights: Encoded;
  peak: Encoded;
}

interface AttentionPoints {
  kind: "points";
  at: Encoded;
  levels: Encoded;
  weights: Encoded;
  peak: Encoded;
}

interface Training {
  metrics: Metrics | null;
  matching: Matching | null;
}

type Curve = (number | null)[];

interface Metrics {
  epoch: number[];
  seconds: Curve;
  loss: Curve;
  AP: Curve;
  AP50: Curve;
}

interface Matching {
  preset: string;
  slots: "learned" | "top-k";
  layers: string[];
  queries: number;
  images: number;
  split: string;
  epochs: Encoded;
  seconds: Encoded;
  instability: Encoded;
  agreement: Encoded;
  agreement_between: Encoded;
  terms: Record<string, Encoded>;
  usage: Encoded;
  usage_epochs: number;
  box_mean: Encoded;
  box_deviation: Encoded;
  sample: Encoded;
  sample_matched: Encoded;
  worst: { name: string; id: number; loss: number; epochs: number }[];
  probe_changes: Encoded;
  snapshot_epochs: Encoded;
  kept_epochs: Encoded;
  probes: Probe[];
}

interface Probe {
  name: string;
  width: number;
  height: number;
  src: string | null;
  labels: number[];
  targets: Encoded;
  boxes: Encoded;
  origins: Encoded;
  queries: Encoded;
  best_labels: Encoded;
  scores: Encoded;
  costs: Encoded;
}

/** A match under some costs. */
interface Solution {
  match: number[];
  total: number;
}

/** The loss of a target's pair; `loss` and `gradient` are null where the target has no query. */
interface PairLoss {
  target: number;
  query: number;
  class?: number;
  l1?: number;
  giou?: number;
  iou?: number;
  total?: number;
  loss: (Terms & { total: number }) | null;
  gradient: number[] | null;
}

interface ImageLoss extends Terms {
  no_object: number;
  total: number;
  noObjectOf: number[];
  pairs: PairLoss[];
}

/** What scene.js computes of one image at one layer under one criterion. */
interface Scene {
  image: ReportImage;
  layer: number;
  criterion: Criterion;
  targets: number[];
  queries: number[];
  recorded: number[];
  isRecorded: boolean;
  queryCount: number;
  number(query: number): number;
  className(target: number): string;
  targetBox(target: number): Box;
  queryBox(query: number): Box;
  probability(target: number, query: number): number;
  best(query: number): { name: string; score: number };
  costs: Terms<number[][]> & { total: number[][] };
  match: number[];
  total: number;
  greedy: Solution;
  regrets: { regret: number; column: number }[];
  loss: ImageLoss;
  targetOf: number[];
}

/** A record that tells its listeners which of its fields changed; see state.js. */
type Observable<T> = T & {
  set(changes: Partial<T>): void;
  on(listener: (changed: Set<string>) => void): () => void;
};

/** What the views of a page show together. */
type PageState = Observable<{
  image: number;
  layer: number;
  target: number | null;
  query: number | null;
  pinned: boolean;
  criterion: Criterion;
}>;

/** What answers a question of the tour; see quiz.js. */
interface Control {
  element: Element;
  value(): any;
  show(answer: any): void;
  onchange(): void;
}

interface Window {
  /** The library, once plotly.js has started it. */
  Plotly?: any;
}
