/** Whether another origin's page is around this one, for pages that draw a card of their own. */
export function isFramedByStranger(page?: Window): boolean;
