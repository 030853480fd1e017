// The linter of the pages' modules. Types and imports are checked by tsc: see tsconfig.json.
import js from "@eslint/js";
import globals from "globals";

const ONE_WAY = "Make elements with html(), svg() or prose() of base/dom.js.";

export default [
  { ignores: ["**/*", "!src/", "!src/**", "!eslint.config.js"] },
  js.configs.recommended,
  {
    files: ["src/setpiece/web/pages/**/*.js"],
    languageOptions: { globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "max-lines": ["error", 300],
      "no-unused-vars": ["error", { args: "all", argsIgnorePattern: "^_" }],
      "no-use-before-define": ["error", { functions: false, variables: false }],
      "no-var": "error",
      "prefer-const": ["error", { destructuring: "all" }],
    },
  },
  {
    files: ["src/setpiece/web/pages/**/*.js"],
    ignores: ["src/setpiece/web/pages/base/dom.js"],
    rules: {
      "no-restricted-properties": [
        "error",
        { property: "createElement", message: ONE_WAY },
        { property: "createElementNS", message: ONE_WAY },
        { property: "innerHTML", message: ONE_WAY },
        { property: "insertAdjacentHTML", message: ONE_WAY },
      ],
    },
  },
];
