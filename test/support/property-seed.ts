import fc from 'fast-check';

// The suite says the same thing each time it runs: properties start from one seed. `npm run soak` draws fresh ones, and
// what it finds becomes a test of its own.
const seed = Number(process.env['GRAPEVINE_SEED'] ?? 20_261_122);

fc.configureGlobal({ seed });
