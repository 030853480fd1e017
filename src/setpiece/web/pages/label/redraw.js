/** Drawing a part of the page anew only when what it shows is another, with the focus left where it is. */

/**
 * @param {HTMLElement} element whose children `make` makes
 * @param {() => unknown} shown all that they depend on, as JSON takes it
 * @param {() => (Node | string | null)[]} make
 * @returns {() => void}
 */
export function when(element, shown, make) {
  let last = "";
  return () => {
    const now = JSON.stringify(shown());
    if (now === last) return;
    last = now;
    const focused = element.contains(document.activeElement) ? document.activeElement?.getAttribute("data-role") : null;
    element.replaceChildren(...make().filter((child) => child !== null));
    if (focused) /** @type {HTMLElement | null} */ (element.querySelector(`[data-role="${focused}"]`))?.focus({ preventScroll: true });
  };
}
