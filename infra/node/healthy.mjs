// The health check of the image: whether the service in this container answers, and its database.
// Plain JavaScript on Node alone, because it runs every few seconds.

const { PORT = '8787' } = process.env;
try {
  const answer = await fetch(`http://127.0.0.1:${PORT}/health`);
  process.exitCode = answer.ok ? 0 : 1;
} catch {
  process.exitCode = 1;
}
