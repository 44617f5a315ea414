// Where `npm run test:engines` has put real engines; null in any other run.

export const enginesFolder = process.env.CW_ENGINES ?? null;
