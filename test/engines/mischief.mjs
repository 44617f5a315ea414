// Loaded before the real trainer, inside its container: after its first accepted report it does
// what MISCHIEF says. Without it, nothing.

const mischief = process.env.MISCHIEF;
const original = globalThis.fetch;
let reports = 0;
let silentUntil = 0;

const acts = {
  exit7: () => process.exit(7),
  kill9: () => process.kill(process.pid, 'SIGKILL'),
  memory: () => {
    const held = [];
    for (;;) held.push(Buffer.alloc(50_000_000, 1));
  },
  /** Is silent for so long that another attempt may stand in its place, then speaks again. */
  zombie: () => {
    silentUntil = Date.now() + 25_000;
  },
  /** Hears neither the service nor SIGTERM. */
  deaf: () => {
    silentUntil = Number.POSITIVE_INFINITY;
    process.removeAllListeners('SIGTERM');
    process.on('SIGTERM', () => {});
  },
};

const wait = () => new Promise((resolve) => setTimeout(resolve, 250));

if (mischief !== undefined) {
  globalThis.fetch = async (input, init) => {
    while (Date.now() < silentUntil) await wait();
    const response = await original(input, init);
    const isReport = String(input.url ?? input).endsWith('/v1/trainer/reports');
    if (isReport && response.ok && ++reports === 1) acts[mischief]();
    return response;
  };
}
