// Made by npm run build:action from infra/action/main.ts; not to be edited.

// infra/action/main.ts
import { setTimeout as sleep } from "node:timers/promises";

// node_modules/@actions/core/lib/command.js
import * as os from "os";

// node_modules/@actions/core/lib/utils.js
function toCommandValue(input) {
  if (input === null || input === void 0) {
    return "";
  } else if (typeof input === "string" || input instanceof String) {
    return input;
  }
  return JSON.stringify(input);
}
function toCommandProperties(annotationProperties) {
  if (!Object.keys(annotationProperties).length) {
    return {};
  }
  return {
    title: annotationProperties.title,
    file: annotationProperties.file,
    line: annotationProperties.startLine,
    endLine: annotationProperties.endLine,
    col: annotationProperties.startColumn,
    endColumn: annotationProperties.endColumn
  };
}

// node_modules/@actions/core/lib/command.js
function issueCommand(command, properties, message) {
  const cmd = new Command(command, properties, message);
  process.stdout.write(cmd.toString() + os.EOL);
}
function issue(name, message = "") {
  issueCommand(name, {}, message);
}
var CMD_STRING = "::";
var Command = class {
  constructor(command, properties, message) {
    if (!command) {
      command = "missing.command";
    }
    this.command = command;
    this.properties = properties;
    this.message = message;
  }
  toString() {
    let cmdStr = CMD_STRING + this.command;
    if (this.properties && Object.keys(this.properties).length > 0) {
      cmdStr += " ";
      let first = true;
      for (const key in this.properties) {
        if (this.properties.hasOwnProperty(key)) {
          const val = this.properties[key];
          if (val) {
            if (first) {
              first = false;
            } else {
              cmdStr += ",";
            }
            cmdStr += `${key}=${escapeProperty(val)}`;
          }
        }
      }
    }
    cmdStr += `${CMD_STRING}${escapeData(this.message)}`;
    return cmdStr;
  }
};
function escapeData(s) {
  return toCommandValue(s).replace(/%/g, "%25").replace(/\r/g, "%0D").replace(/\n/g, "%0A");
}
function escapeProperty(s) {
  return toCommandValue(s).replace(/%/g, "%25").replace(/\r/g, "%0D").replace(/\n/g, "%0A").replace(/:/g, "%3A").replace(/,/g, "%2C");
}

// node_modules/@actions/core/lib/file-command.js
import * as crypto from "crypto";
import * as fs from "fs";
import * as os2 from "os";
function issueFileCommand(command, message) {
  const filePath = process.env[`GITHUB_${command}`];
  if (!filePath) {
    throw new Error(`Unable to find environment variable for file command ${command}`);
  }
  if (!fs.existsSync(filePath)) {
    throw new Error(`Missing file at path: ${filePath}`);
  }
  fs.appendFileSync(filePath, `${toCommandValue(message)}${os2.EOL}`, {
    encoding: "utf8"
  });
}
function prepareKeyValueMessage(key, value) {
  const delimiter = `ghadelimiter_${crypto.randomUUID()}`;
  const convertedValue = toCommandValue(value);
  if (key.includes(delimiter)) {
    throw new Error(`Unexpected input: name should not contain the delimiter "${delimiter}"`);
  }
  if (convertedValue.includes(delimiter)) {
    throw new Error(`Unexpected input: value should not contain the delimiter "${delimiter}"`);
  }
  return `${key}<<${delimiter}${os2.EOL}${convertedValue}${os2.EOL}${delimiter}`;
}

// node_modules/@actions/core/lib/core.js
import * as os4 from "os";

// node_modules/@actions/core/lib/summary.js
import { EOL as EOL3 } from "os";
import { constants, promises } from "fs";
var __awaiter = function(thisArg, _arguments, P, generator) {
  function adopt(value) {
    return value instanceof P ? value : new P(function(resolve) {
      resolve(value);
    });
  }
  return new (P || (P = Promise))(function(resolve, reject) {
    function fulfilled(value) {
      try {
        step(generator.next(value));
      } catch (e) {
        reject(e);
      }
    }
    function rejected(value) {
      try {
        step(generator["throw"](value));
      } catch (e) {
        reject(e);
      }
    }
    function step(result) {
      result.done ? resolve(result.value) : adopt(result.value).then(fulfilled, rejected);
    }
    step((generator = generator.apply(thisArg, _arguments || [])).next());
  });
};
var { access, appendFile, writeFile } = promises;
var SUMMARY_ENV_VAR = "GITHUB_STEP_SUMMARY";
var Summary = class {
  constructor() {
    this._buffer = "";
  }
  /**
   * Finds the summary file path from the environment, rejects if env var is not found or file does not exist
   * Also checks r/w permissions.
   *
   * @returns step summary file path
   */
  filePath() {
    return __awaiter(this, void 0, void 0, function* () {
      if (this._filePath) {
        return this._filePath;
      }
      const pathFromEnv = process.env[SUMMARY_ENV_VAR];
      if (!pathFromEnv) {
        throw new Error(`Unable to find environment variable for $${SUMMARY_ENV_VAR}. Check if your runtime environment supports job summaries.`);
      }
      try {
        yield access(pathFromEnv, constants.R_OK | constants.W_OK);
      } catch (_a) {
        throw new Error(`Unable to access summary file: '${pathFromEnv}'. Check if the file has correct read/write permissions.`);
      }
      this._filePath = pathFromEnv;
      return this._filePath;
    });
  }
  /**
   * Wraps content in an HTML tag, adding any HTML attributes
   *
   * @param {string} tag HTML tag to wrap
   * @param {string | null} content content within the tag
   * @param {[attribute: string]: string} attrs key-value list of HTML attributes to add
   *
   * @returns {string} content wrapped in HTML element
   */
  wrap(tag, content, attrs = {}) {
    const htmlAttrs = Object.entries(attrs).map(([key, value]) => ` ${key}="${value}"`).join("");
    if (!content) {
      return `<${tag}${htmlAttrs}>`;
    }
    return `<${tag}${htmlAttrs}>${content}</${tag}>`;
  }
  /**
   * Writes text in the buffer to the summary buffer file and empties buffer. Will append by default.
   *
   * @param {SummaryWriteOptions} [options] (optional) options for write operation
   *
   * @returns {Promise<Summary>} summary instance
   */
  write(options) {
    return __awaiter(this, void 0, void 0, function* () {
      const overwrite = !!(options === null || options === void 0 ? void 0 : options.overwrite);
      const filePath = yield this.filePath();
      const writeFunc = overwrite ? writeFile : appendFile;
      yield writeFunc(filePath, this._buffer, { encoding: "utf8" });
      return this.emptyBuffer();
    });
  }
  /**
   * Clears the summary buffer and wipes the summary file
   *
   * @returns {Summary} summary instance
   */
  clear() {
    return __awaiter(this, void 0, void 0, function* () {
      return this.emptyBuffer().write({ overwrite: true });
    });
  }
  /**
   * Returns the current summary buffer as a string
   *
   * @returns {string} string of summary buffer
   */
  stringify() {
    return this._buffer;
  }
  /**
   * If the summary buffer is empty
   *
   * @returns {boolen} true if the buffer is empty
   */
  isEmptyBuffer() {
    return this._buffer.length === 0;
  }
  /**
   * Resets the summary buffer without writing to summary file
   *
   * @returns {Summary} summary instance
   */
  emptyBuffer() {
    this._buffer = "";
    return this;
  }
  /**
   * Adds raw text to the summary buffer
   *
   * @param {string} text content to add
   * @param {boolean} [addEOL=false] (optional) append an EOL to the raw text (default: false)
   *
   * @returns {Summary} summary instance
   */
  addRaw(text, addEOL = false) {
    this._buffer += text;
    return addEOL ? this.addEOL() : this;
  }
  /**
   * Adds the operating system-specific end-of-line marker to the buffer
   *
   * @returns {Summary} summary instance
   */
  addEOL() {
    return this.addRaw(EOL3);
  }
  /**
   * Adds an HTML codeblock to the summary buffer
   *
   * @param {string} code content to render within fenced code block
   * @param {string} lang (optional) language to syntax highlight code
   *
   * @returns {Summary} summary instance
   */
  addCodeBlock(code2, lang) {
    const attrs = Object.assign({}, lang && { lang });
    const element = this.wrap("pre", this.wrap("code", code2), attrs);
    return this.addRaw(element).addEOL();
  }
  /**
   * Adds an HTML list to the summary buffer
   *
   * @param {string[]} items list of items to render
   * @param {boolean} [ordered=false] (optional) if the rendered list should be ordered or not (default: false)
   *
   * @returns {Summary} summary instance
   */
  addList(items, ordered = false) {
    const tag = ordered ? "ol" : "ul";
    const listItems = items.map((item) => this.wrap("li", item)).join("");
    const element = this.wrap(tag, listItems);
    return this.addRaw(element).addEOL();
  }
  /**
   * Adds an HTML table to the summary buffer
   *
   * @param {SummaryTableCell[]} rows table rows
   *
   * @returns {Summary} summary instance
   */
  addTable(rows) {
    const tableBody = rows.map((row) => {
      const cells = row.map((cell) => {
        if (typeof cell === "string") {
          return this.wrap("td", cell);
        }
        const { header, data, colspan, rowspan } = cell;
        const tag = header ? "th" : "td";
        const attrs = Object.assign(Object.assign({}, colspan && { colspan }), rowspan && { rowspan });
        return this.wrap(tag, data, attrs);
      }).join("");
      return this.wrap("tr", cells);
    }).join("");
    const element = this.wrap("table", tableBody);
    return this.addRaw(element).addEOL();
  }
  /**
   * Adds a collapsable HTML details element to the summary buffer
   *
   * @param {string} label text for the closed state
   * @param {string} content collapsable content
   *
   * @returns {Summary} summary instance
   */
  addDetails(label, content) {
    const element = this.wrap("details", this.wrap("summary", label) + content);
    return this.addRaw(element).addEOL();
  }
  /**
   * Adds an HTML image tag to the summary buffer
   *
   * @param {string} src path to the image you to embed
   * @param {string} alt text description of the image
   * @param {SummaryImageOptions} options (optional) addition image attributes
   *
   * @returns {Summary} summary instance
   */
  addImage(src, alt, options) {
    const { width, height } = options || {};
    const attrs = Object.assign(Object.assign({}, width && { width }), height && { height });
    const element = this.wrap("img", null, Object.assign({ src, alt }, attrs));
    return this.addRaw(element).addEOL();
  }
  /**
   * Adds an HTML section heading element
   *
   * @param {string} text heading text
   * @param {number | string} [level=1] (optional) the heading level, default: 1
   *
   * @returns {Summary} summary instance
   */
  addHeading(text, level) {
    const tag = `h${level}`;
    const allowedTag = ["h1", "h2", "h3", "h4", "h5", "h6"].includes(tag) ? tag : "h1";
    const element = this.wrap(allowedTag, text);
    return this.addRaw(element).addEOL();
  }
  /**
   * Adds an HTML thematic break (<hr>) to the summary buffer
   *
   * @returns {Summary} summary instance
   */
  addSeparator() {
    const element = this.wrap("hr", null);
    return this.addRaw(element).addEOL();
  }
  /**
   * Adds an HTML line break (<br>) to the summary buffer
   *
   * @returns {Summary} summary instance
   */
  addBreak() {
    const element = this.wrap("br", null);
    return this.addRaw(element).addEOL();
  }
  /**
   * Adds an HTML blockquote to the summary buffer
   *
   * @param {string} text quote text
   * @param {string} cite (optional) citation url
   *
   * @returns {Summary} summary instance
   */
  addQuote(text, cite) {
    const attrs = Object.assign({}, cite && { cite });
    const element = this.wrap("blockquote", text, attrs);
    return this.addRaw(element).addEOL();
  }
  /**
   * Adds an HTML anchor tag to the summary buffer
   *
   * @param {string} text link text/content
   * @param {string} href hyperlink
   *
   * @returns {Summary} summary instance
   */
  addLink(text, href) {
    const element = this.wrap("a", text, { href });
    return this.addRaw(element).addEOL();
  }
};
var _summary = new Summary();
var summary = _summary;

// node_modules/@actions/core/lib/platform.js
import os3 from "os";
var platform = os3.platform();
var arch = os3.arch();

// node_modules/@actions/core/lib/core.js
var ExitCode;
(function(ExitCode2) {
  ExitCode2[ExitCode2["Success"] = 0] = "Success";
  ExitCode2[ExitCode2["Failure"] = 1] = "Failure";
})(ExitCode || (ExitCode = {}));
function setSecret(secret) {
  issueCommand("add-mask", {}, secret);
}
function getInput(name, options) {
  const val = process.env[`INPUT_${name.replace(/ /g, "_").toUpperCase()}`] || "";
  if (options && options.required && !val) {
    throw new Error(`Input required and not supplied: ${name}`);
  }
  if (options && options.trimWhitespace === false) {
    return val;
  }
  return val.trim();
}
function setOutput(name, value) {
  const filePath = process.env["GITHUB_OUTPUT"] || "";
  if (filePath) {
    return issueFileCommand("OUTPUT", prepareKeyValueMessage(name, value));
  }
  process.stdout.write(os4.EOL);
  issueCommand("set-output", { name }, toCommandValue(value));
}
function setFailed(message) {
  process.exitCode = ExitCode.Failure;
  error(message);
}
function error(message, properties = {}) {
  issueCommand("error", toCommandProperties(properties), message instanceof Error ? message.toString() : message);
}
function warning(message, properties = {}) {
  issueCommand("warning", toCommandProperties(properties), message instanceof Error ? message.toString() : message);
}
function notice(message, properties = {}) {
  issueCommand("notice", toCommandProperties(properties), message instanceof Error ? message.toString() : message);
}
function info(message) {
  process.stdout.write(message + os4.EOL);
}
function startGroup(name) {
  issue("group", name);
}
function endGroup() {
  issue("endgroup");
}
function saveState(name, value) {
  const filePath = process.env["GITHUB_STATE"] || "";
  if (filePath) {
    return issueFileCommand("STATE", prepareKeyValueMessage(name, value));
  }
  issueCommand("save-state", { name }, toCommandValue(value));
}
function getState(name) {
  return process.env[`STATE_${name}`] || "";
}

// infra/action/failure.ts
var exitCodes = { done: 0, failed: 1, usage: 2, refused: 3, gateNotMet: 4, timedOut: 5 };
function failure(message, exitCode, more2 = {}) {
  return Object.assign(new Error(message), { exitCode, ...more2 });
}
var isFailure = (error2) => error2 instanceof Error && "exitCode" in error2;

// api/contract/problems.ts
async function problemOf(response) {
  const text = await response.text();
  try {
    const problem = JSON.parse(text);
    if (typeof problem?.detail === "string") return problem;
  } catch {
  }
  const detail = text.slice(0, 300) || response.statusText || `status ${response.status}`;
  return { status: response.status, title: response.statusText, detail };
}
function problemText({ detail, errors = [], requestId, status }) {
  const lines = errors.slice(0, 20).map(({ pointer, line, caseId, detail: what, range }) => {
    const at = [
      line === void 0 ? void 0 : `line ${line}`,
      caseId === void 0 ? void 0 : `case ${caseId}`,
      pointer || void 0
    ].filter((part) => part !== void 0);
    const where = range === void 0 ? "" : ` (characters ${range.from} to ${range.to})`;
    return `  ${at.join(", ") || "body"}${where}: ${what}`;
  });
  if (errors.length > 20) lines.push(`  ... and ${errors.length - 20} more`);
  const id = status >= 500 && requestId ? ` (request ${requestId})` : "";
  return [`${detail}${id}`, ...lines].join("\n");
}

// api/contract/sending.ts
var firstPauseMs = 800;
var longestPauseMs = 3e4;
var passing = /* @__PURE__ */ new Set([408, 429, 502, 503, 504]);
var longestAskedMs = 6e4;
function repeatable(method, headers) {
  return ["GET", "PUT"].includes(method) || "idempotency-key" in headers || "upload-part" in headers;
}
function senderOf(options) {
  const { mayRepeat = repeatable, now, sleep: sleep2 } = options;
  return async (method, path, given = {}) => {
    const startedAt = now();
    const mayTryAgain = mayRepeat(method, given.headers ?? {});
    let renewed = false;
    for (let tries = 1; ; tries += 1) {
      const token = await tokenOf(options);
      const outcome = await attempt(options, { method, path, token, ...given });
      if (outcome instanceof Response && outcome.status === 401 && !renewed) {
        renewed = true;
        if (await hasOther(options, token)) continue;
      }
      const waitMs = pauseMs(options, outcome, tries);
      const again = mayTryAgain && helpsToRepeat(options, method, outcome) && ("tries" in options.patience ? tries < options.patience.tries : now() - startedAt + waitMs <= options.patience.forMs);
      if (!again) {
        if (outcome instanceof Response) return outcome;
        throw outcome;
      }
      const trouble = outcome instanceof Response ? `status ${outcome.status}` : outcome.message;
      options.onRetry?.(path, trouble, waitMs);
      await sleep2(waitMs, given.signal);
    }
  };
}
var tokenOf = async ({ token }) => typeof token === "object" ? await token.current() : token;
async function hasOther({ token }, refused) {
  if (typeof token !== "object" || refused === void 0) return false;
  return await token.renewed(refused) !== null;
}
async function attempt({ api, fetch: fetch2, timeoutMs, whole }, { method, path, token, body, headers, signal }) {
  if (signal?.aborted) return sendFailure("cancelled", "the request was given up");
  const slow = new AbortController();
  const timer = setTimeout(() => slow.abort(), timeoutMs);
  try {
    const answer = await fetch2(`${api}${path}`, {
      method,
      headers: { ...token ? { authorization: `Bearer ${token}` } : {}, ...headers },
      body,
      signal: signal === void 0 ? slow.signal : AbortSignal.any([slow.signal, signal])
    });
    return whole ? await wholeOf(answer) : answer;
  } catch (cause) {
    if (signal?.aborted) return sendFailure("cancelled", "the request was given up", cause);
    if (slow.signal.aborted) {
      return sendFailure("unreachable", `no answer within ${timeoutMs / 1e3} s`, cause);
    }
    const code2 = cause.cause?.code;
    return sendFailure("unreachable", code2 ?? cause.message, cause);
  } finally {
    clearTimeout(timer);
  }
}
async function wholeOf(answer) {
  const bytes = await answer.arrayBuffer();
  const { status, statusText, headers } = answer;
  return new Response(bytes.byteLength === 0 ? null : bytes, { status, statusText, headers });
}
function sendFailure(sending, message, cause) {
  return Object.assign(new Error(message, { cause }), { sending });
}
function helpsToRepeat({ mayPass = passes }, method, outcome) {
  if (outcome instanceof Response) return mayPass(outcome, method);
  return outcome.sending !== "cancelled";
}
function passes(answer, method) {
  const asked = askedMs(answer);
  if (answer.status === 409) return asked !== void 0;
  if (answer.status !== 429 || method === "GET") return passing.has(answer.status);
  return asked !== void 0 && asked <= longestAskedMs;
}
function pauseMs({ random, longestAskedMs: longest = longestAskedMs }, outcome, tries) {
  const drawn = random() * Math.min(longestPauseMs, firstPauseMs * 2 ** (tries - 1));
  const asked = outcome instanceof Response ? askedMs(outcome) ?? 0 : 0;
  return Math.max(drawn, Math.min(asked, longest));
}
function askedMs({ headers }) {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^\d+$/.test(text)) return Number(text) * 1e3;
  const wait = Date.parse(text) - Date.parse(headers.get("date") ?? "");
  return Number.isNaN(wait) ? void 0 : Math.max(0, wait);
}

// api/contract/client.ts
function typedClient(send) {
  const ask = async (operation, ...rest) => await jsonOf(await send(...requestOf(operation, rest[0])));
  const askAll = async (operation, asked = {}) => {
    const items = [];
    for (let cursor; cursor !== null; ) {
      const query = { limit: 500, ...asked.query, cursor };
      const request = requestOf(operation, { ...asked, query });
      const page = await jsonOf(await send(...request));
      items.push(...page.items);
      cursor = page.nextCursor;
    }
    return items;
  };
  return { ask, askAll };
}
function requestOf(operation, asked = {}) {
  const [method, template] = operation.split(" ");
  const { path: names = {}, query = {}, body, key, signal } = asked;
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(names[name]));
  const said = Object.entries(query).filter(([, value]) => value !== void 0);
  const search = new URLSearchParams(said.map(([name, value]) => [name, String(value)]));
  const headers = {
    ...body === void 0 ? {} : { "content-type": "application/json" },
    ...key === void 0 ? {} : { "idempotency-key": key },
    accept: "application/json"
  };
  const options = { headers, signal, body: body === void 0 ? void 0 : JSON.stringify(body) };
  return [method, said.length === 0 ? path : `${path}?${search}`, options];
}
async function jsonOf(response) {
  const text = await response.text();
  return text === "" ? null : JSON.parse(text);
}

// infra/action/service.ts
function serviceOf(world2, options) {
  const sender = senderOf({
    ...world2,
    patience: { tries: 5 },
    timeoutMs: 6e4,
    whole: true,
    ...options
  });
  const send = successes(
    options.api,
    (method, path, given) => sender(method, path, { ...given, signal: given?.signal ?? options.signal })
  );
  return { ...typedClient(send), api: options.api, send };
}
function successes(api, sender) {
  return async (method, path, given) => {
    const answer = await sender(method, path, given).catch((error2) => {
      if (isFailure(error2)) throw error2;
      const silent = error2.sending === "unreachable";
      throw failure(`no answer from ${api} (${error2.message})`, exitCodes.failed, { silent });
    });
    if (answer.ok) return answer;
    throw await refusalOf(answer);
  };
}
async function refusalOf(answer) {
  const problem = await problemOf(answer);
  const { status, requestId, detail } = problem;
  const silent = status >= 500 || status === 429;
  if (status < 500) return failure(detail, exitCodes.refused, { problem, silent });
  const id = requestId === void 0 ? "" : ` (request ${requestId})`;
  return failure(`${detail}${id}`, exitCodes.failed, { problem, silent });
}

// infra/action/comment.ts
var pageSize = 100;
var mostPages = 30;
var mostCharacters = 65e3;
async function writeComment(world2, { githubToken }, event, text) {
  const api = event.githubApi.replace(/\/+$/, "");
  const patience = { tries: 3 };
  const options = { ...world2, api, token: githubToken, patience, timeoutMs: 2e4, whole: true };
  const send = successes(api, senderOf(options));
  const headers = { accept: "application/vnd.github+json", "user-agent": "counterweight-action" };
  const marker = `<!-- counterweight ${event.place} -->`;
  const body = JSON.stringify({ body: `${marker}
${text}`.slice(0, mostCharacters) });
  const issues = `/repos/${event.repository}/issues`;
  const list = `${issues}/${event.pullRequest}/comments`;
  const page = async (number) => {
    const path = `${list}?per_page=${pageSize}&page=${number}`;
    return await (await send("GET", path, { headers })).json();
  };
  let known;
  for (let number = 1; number <= mostPages && known === void 0; number += 1) {
    const comments = await page(number);
    known = comments.find((one) => one.body?.startsWith(marker));
    if (comments.length < pageSize) break;
  }
  const written = known === void 0 ? await send("POST", list, { headers, body }) : await send("PATCH", `${issues}/comments/${known.id}`, { headers, body });
  return (await written.json()).html_url ?? "";
}

// api/contract/gates.ts
function gateFault(job, { figure: figure2, least }) {
  const dice = job.summary?.dice ?? {};
  const figures = Object.keys(dice).map((name) => `dice.${name}`);
  const value = figures.includes(figure2) ? dice[figure2.slice("dice.".length)] : void 0;
  if (value === void 0) {
    const known = figures.length === 0 ? "none" : figures.join(", ");
    return `gate not met: the job has no figure ${figure2}; it has ${known}`;
  }
  if (value === null) return `gate not met: ${figure2} could not be measured, no case has the class`;
  return value >= least ? null : `gate not met: ${figure2} is ${value.toFixed(4)}, under ${least}`;
}

// infra/action/results.ts
var diceOf = ({ summary: summary2 }) => summary2?.dice ?? {};
var groupsOf = ({ summary: summary2 }) => summary2?.groups ?? {};
function metricsOf(jobs) {
  return {
    dice: meanDice(jobs.map(diceOf)),
    folds: jobs.map((job) => ({
      fold: String(job.snapshot.fold),
      job: job.id,
      state: job.state,
      dice: diceOf(job),
      groups: groupsOf(job),
      verifiedDraws: job.verifiedDraws
    }))
  };
}
function meanDice(folds) {
  const names = [...new Set(folds.flatMap((dice) => Object.keys(dice)))];
  return Object.fromEntries(
    names.map((name) => {
      const known = folds.map((dice) => dice[name]).filter((value) => typeof value === "number");
      const sum = known.reduce((total, value) => total + value, 0);
      return [name, known.length === 0 ? null : sum / known.length];
    })
  );
}
function gateFaults(jobs, conditions) {
  const mean = { summary: { dice: meanDice(jobs.map(diceOf)) } };
  return conditions.flatMap((condition2) => {
    const told = (fault, of) => fault === null ? [] : [`${of}${fault}`];
    if (condition2.ofMean) return told(gateFault(mean, condition2), "mean over the folds: ");
    return jobs.flatMap(
      (job) => told(gateFault(job, condition2), jobs.length === 1 ? "" : `fold ${job.snapshot.fold}: `)
    );
  });
}
var worstFirst = ["failed", "timedOut", "lost", "cancelled"];
function stateOf(jobs) {
  const states = jobs.map(({ state }) => state);
  const worst = worstFirst.find((state) => states.includes(state));
  return worst ?? states.find((state) => state !== "succeeded") ?? "succeeded";
}

// api/contract/job-states.ts
var endStates = [
  "succeeded",
  "failed",
  "cancelled",
  "timedOut",
  "lost"
];

// infra/action/follow.ts
var hasEnded = ({ state }) => endStates.includes(state);
var nameOf = (job, jobs) => jobs.length === 1 ? `job ${job.id}` : `fold ${job.snapshot.fold}`;
var stateText = ({ state, reason }) => reason === null ? state : `${state} (${reason.code}: ${reason.detail})`;
async function followJobs(world2, service, jobs, { pollMs, timeoutMs, stop: stop2 }) {
  const giveUpAt = world2.now() + timeoutMs;
  const followed = jobs.map((job) => ({ name: nameOf(job, jobs), job, after: 0 }));
  let away = false;
  for (; ; ) {
    const standing = followed.map(({ job }) => job);
    if (standing.every(hasEnded)) return { end: "ended", jobs: standing };
    if (stop2.aborted) return { end: "cancelled", jobs: standing };
    if (world2.now() >= giveUpAt) return { end: "timedOut", jobs: standing };
    await world2.sleep(Math.min(pollMs, giveUpAt - world2.now()), stop2);
    const silence = stop2.aborted ? null : await readAll(world2, service, followed, stop2);
    if (silence !== null && !away) world2.log(`${silence}; waiting for it`);
    if (silence === null && away && !stop2.aborted) world2.log("the service answers again");
    away = silence !== null;
  }
}
async function readAll(world2, service, followed, signal) {
  try {
    for (const one of followed) {
      if (!hasEnded(one.job)) await readOne(world2, service, one, signal);
    }
    return null;
  } catch (error2) {
    if (signal.aborted) return null;
    if (!isFailure(error2) || !error2.silent) throw error2;
    return error2.message;
  }
}
async function readOne(world2, service, one, signal) {
  const path = { id: one.job.id };
  const job = await service.ask("GET /v1/jobs/{id}", { path, signal });
  for (const line of newsOf(one.job, job)) world2.log(`${one.name}: ${line}`);
  one.job = job;
  const query = { name: "diceMean", after: one.after, limit: 5e3 };
  const { items } = await service.ask("GET /v1/jobs/{id}/metrics", { path, query, signal });
  for (const { sequence, value, step, group, class: label } of items) {
    one.after = sequence;
    if (group === null && label === null) {
      world2.log(`${one.name}: validated after step ${step}, mean Dice ${value.toFixed(3)}`);
    }
  }
}
function newsOf(before, now) {
  const heard = detailOf(now);
  const known = new Set(before.snapshots.map(({ digest, fromEpoch }) => `${fromEpoch} ${digest}`));
  return [
    ...now.state === before.state ? [] : [stateText(now)],
    ...now.attempts.length > before.attempts.length && before.attempts.length > 0 ? [`attempt ${now.attempts.length} follows on one that ${stateText(now.attempts.at(-2))}`] : [],
    ...heard === void 0 || heard === detailOf(before) ? [] : [heard],
    ...now.verifiedDraws.mismatch > before.verifiedDraws.mismatch ? ["an epoch's draws are not the planned ones"] : [],
    ...Object.entries(now.monitors).flatMap(([name, one]) => {
      const old = before.monitors[name]?.findings ?? 0;
      return one === void 0 || one.findings === old ? [] : [`monitor ${name} (${one.action}): ${one.sentence}`];
    }),
    ...now.snapshots.filter(({ digest, fromEpoch }) => !known.has(`${fromEpoch} ${digest}`)).map((one) => `draws by ${one.digest} from epoch ${one.fromEpoch} on (${one.cause})`)
  ];
}
var detailOf = ({ attempts }) => attempts.at(-1)?.observation?.detail;

// infra/action/markdown.ts
var special = /[&<>|`*_~[\]()@#\\!]/g;
var shown = (text) => text.replace(/\s+/g, " ").replace(special, (one) => `&#${one.codePointAt(0)};`);
var code = (text) => `<code>${shown(text)}</code>`;
function table(heading, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(heading), line(heading.map(() => "---")), ...rows.map(line), ""];
}
function folded(title, lines) {
  return ["<details>", `<summary>${title}</summary>`, "", ...lines, "", "</details>", ""];
}
function block(language, text) {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((ticks) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return [`${fence}${language}`, text, fence];
}

// infra/action/summary.ts
var mostRows = 40;
var mostMoves = 10;
function summaryOf(told) {
  const { state, notes, jobs, folds, requests, api, runUrl } = told;
  return [
    `## Counterweight: ${state}`,
    "",
    ...notes.flatMap((note) => [`> ${shown(note)}`, ""]),
    ...overview(jobs, folds, api),
    ...diceOfFolds(jobs),
    ...folds.flatMap((fold) => changes(fold, folds.length)),
    ...requests.flatMap(
      ({ fold, request }) => folded(
        fold === null ? "Native request" : `Native request of fold ${shown(fold)}`,
        block("json", JSON.stringify(request, null, 2))
      )
    ),
    `<sub>${shown(api)} \xB7 <a href="${runUrl}">run</a></sub>`,
    ""
  ].join("\n");
}
var figure = (value) => typeof value === "number" ? value.toFixed(4) : "-";
var percent = (share) => `${(100 * share).toFixed(1)} %`;
function overview(jobs, folds, api) {
  if (jobs.length === 0) {
    const rows2 = folds.map(({ fold, snapshot }) => [
      shown(fold),
      code(snapshot.digest),
      percent(snapshot.diagnostics.effectiveFraction)
    ]);
    return rows2.length === 0 ? [] : table(["fold", "snapshot", "effective fraction"], rows2);
  }
  const rows = jobs.map((job) => {
    const one = folds.find(({ snapshot }) => snapshot.digest === job.snapshot.digest);
    const { verified, partial, mismatch } = job.verifiedDraws;
    return [
      shown(String(job.snapshot.fold)),
      `<a href="${api}/v1/jobs/${encodeURIComponent(job.id)}">${code(job.id)}</a>`,
      shown(stateText(job)),
      figure(diceOf(job).mean),
      `${verified} verified, ${partial} partial, ${mismatch === 0 ? "0" : `**${mismatch}**`} mismatch`,
      one === void 0 ? "-" : percent(one.snapshot.diagnostics.effectiveFraction),
      code(job.snapshot.digest)
    ];
  });
  const heading = [
    "fold",
    "job",
    "state",
    "mean Dice",
    "epochs of draws",
    "effective fraction",
    "snapshot"
  ];
  return table(heading, rows);
}
function diceOfFolds(jobs) {
  const measured = jobs.filter((job) => Object.keys(diceOf(job)).length > 0);
  const several = jobs.length > 1;
  return [
    ...measured.flatMap((job) => [
      `### Dice${several ? `, fold ${shown(String(job.snapshot.fold))}` : ""}`,
      "",
      ...diceTable([["all", diceOf(job)], ...Object.entries(groupsOf(job))])
    ]),
    ...several && measured.length > 1 ? ["### Dice, mean over the folds", "", ...diceTable([["all", meanDice(jobs.map(diceOf))]])] : []
  ];
}
function diceTable(rows) {
  const classes = [...new Set(rows.flatMap(([, dice]) => Object.keys(dice)))];
  const names = [...classes.filter((name) => name !== "mean"), "mean"];
  const cells = rows.slice(0, mostRows).map(([group, dice]) => [shown(group), ...names.map((name) => figure(dice[name]))]);
  return [...table(["group", ...names.map(shown)], cells), ...more(rows.length, mostRows)];
}
var more = (count, most) => count > most ? [`... and ${count - most} more`, ""] : [];
function changes({ fold, snapshot, comparison }, count) {
  const title = `### What changed in the draws${count > 1 ? `, fold ${shown(fold)}` : ""}`;
  if ("note" in comparison) return [title, "", shown(comparison.note), ""];
  const { diff, against } = comparison;
  const { from, to } = diff.effectiveFraction;
  return [
    title,
    "",
    `${code(snapshot.ruleSet)} on version ${snapshot.version}, against ${shown(against)} (${code(diff.from.ruleSet)} on version ${diff.from.version}).`,
    "",
    objective(diff),
    "",
    `Total variation of the draws ${diff.totalVariation.toFixed(4)}; effective fraction ${percent(from)} \u2192 ${percent(to)}; ${diff.addedCount} cases added, ${diff.removedCount} removed.`,
    "",
    ...groupTable(diff),
    ...moveTable(diff),
    ...diff.rulesDiff === "" ? [] : folded("Changes of the rules", block("diff", diff.rulesDiff.trimEnd()))
  ];
}
function objective({ objectiveChanged, objective: by }) {
  if (!objectiveChanged) return "The objective is the same.";
  return `**The objective differs**: target by ${by.targetVariation.toFixed(4)}, effective target by ${by.effectiveTargetVariation.toFixed(4)} (total variation).`;
}
function groupTable({ groups }) {
  if (groups.length === 0) return [];
  const change = ({ from, to }, name) => `${from === null ? "-" : percent(from[name])} \u2192 ${to === null ? "-" : percent(to[name])}`;
  const rows = groups.slice(0, mostRows).map((one) => [
    shown(`${one.attribute}=${one.value}`),
    change(one, "targetShare"),
    change(one, "drawShare"),
    change(one, "effectiveTargetShare")
  ]);
  const heading = ["group", "target", "draws", "effective target"];
  return [...table(heading, rows), ...more(groups.length, mostRows)];
}
function moveTable({ largestMoves }) {
  if (largestMoves.length === 0) return [];
  const drawn = (side) => side === null ? "-" : side.drawProbability.toPrecision(3);
  const rows = largestMoves.slice(0, mostMoves).map(({ id, from, to, because }) => [code(id), drawn(from), drawn(to), shown(because)]);
  const heading = ["case", "drawn before", "drawn now", "because"];
  return folded("Cases that moved most", table(heading, rows));
}

// infra/action/output.ts
function setOutputs({ state, jobs, folds, requests, api }) {
  setOutput("state", state);
  const digests = jobs.length > 0 ? jobs.map(({ snapshot }) => [String(snapshot.fold), snapshot.digest]) : folds.map(({ fold, snapshot }) => [fold, snapshot.digest]);
  if (digests.length > 0) {
    setOutput("snapshot-digest", digests[0][1]);
    setOutput("snapshot-digests", Object.fromEntries(digests));
  }
  if (jobs.length > 0) {
    setOutput("job-id", jobs[0].id);
    setOutput("job-ids", JSON.stringify(jobs.map(({ id }) => id)));
    setOutput("job-url", `${api}/v1/jobs/${encodeURIComponent(jobs[0].id)}`);
    setOutput("metrics", metricsOf(jobs));
  }
  if (requests.length > 0) {
    const alone = requests.length === 1 && requests[0].fold === null;
    setOutput("dry-run-request", alone ? requests[0].request : requests);
  }
}
async function report(world2, inputs, event, told) {
  const text = summaryOf(told);
  if (world2.env.GITHUB_STEP_SUMMARY) await summary.addRaw(text, true).write();
  if (!inputs.comment) return;
  const { pullRequest } = event;
  if (pullRequest === null) {
    return notice(
      "pr-comment: this run is of no pull request, so there is none to comment on"
    );
  }
  try {
    const where = await writeComment(world2, inputs, { ...event, pullRequest }, text);
    world2.log(`comment ${where}`);
  } catch (error2) {
    const why = error2.message;
    warning(
      `pr-comment: it could not be written (${why}). The job needs "permissions: pull-requests: write", which runs of forks do not have.`
    );
  }
}
var mostAnnotations = 9;
function tellFailure({ message, problem, exitCode }) {
  for (const { pointer = "", detail } of (problem?.errors ?? []).slice(0, mostAnnotations)) {
    const [, input = ""] = pointer.split("/");
    error(detail, { title: input === "" ? "Refused" : `Input ${input}: ${pointer}` });
  }
  setFailed(problem === void 0 ? message : problemText(problem));
  process.exitCode = exitCode;
}

// infra/action/cancel.ts
var cancelMs = 6e3;
async function cancelJobs(world2, { api, token }, asked) {
  const { ids, reason, withinMs = cancelMs } = asked;
  const signal = AbortSignal.timeout(withinMs);
  const service = serviceOf(world2, {
    api,
    token,
    mayRepeat: () => true,
    patience: { forMs: withinMs },
    timeoutMs: withinMs / 3
  });
  const found = { jobs: [], faults: [] };
  await Promise.all(
    ids.map(async (id) => {
      const request = { path: { id }, body: { reason }, signal };
      try {
        found.jobs.push(await service.ask("POST /v1/jobs/{id}/cancel", request));
      } catch (error2) {
        if (isFailure(error2) && error2.problem?.status === 409) return;
        found.faults.push(`job ${id} could not be cancelled: ${error2.message}`);
      }
    })
  );
  return found;
}

// infra/action/comparison.ts
async function foldsOf(service, asked, jobs) {
  const alias = await aliasOf(service, asked.source);
  const keys = jobs.length > 0 ? jobs.map(({ snapshot }) => snapshot.digest) : keysOf(asked, alias);
  const number = jobs[0]?.alias?.number ?? alias?.number ?? 0;
  return await Promise.all(
    keys.map(async (key) => {
      const snapshot = await service.ask("GET /v1/snapshots/{snapshot}", {
        path: { snapshot: key }
      });
      const fold = String(snapshot.header.fold);
      const before = baseOf(asked, { fold, alias, number, snapshot });
      return { fold, snapshot, comparison: await comparisonOf(service, before, snapshot.digest) };
    })
  );
}
async function aliasOf(service, source) {
  const named = "alias" in source ? source : partsOf(source.snapshot);
  if (named === null) return null;
  const path = { dataset: named.dataset, alias: named.alias };
  return await service.ask("GET /v1/datasets/{dataset}/aliases/{alias}", { path });
}
function partsOf(key) {
  const [, dataset, alias] = /^([^@]+)@([^@:]+)(?::[^@:]+)?$/.exec(key) ?? [];
  return dataset === void 0 ? null : { dataset, alias };
}
function keysOf({ source }, alias) {
  if ("snapshot" in source) return [source.snapshot];
  const standing = alias?.snapshots ?? {};
  const folds = source.folds?.map(String) ?? Object.keys(standing);
  return folds.flatMap((fold) => standing[fold]?.digest ?? []);
}
function baseOf({ compareTo }, { fold, alias, number, snapshot }) {
  if (compareTo !== null) {
    const key = /^[^@]+@[^@:]+$/.test(compareTo) ? `${compareTo}:${fold}` : compareTo;
    return { key, against: key };
  }
  if (alias === null) {
    return { note: "not launched from an alias: compare-to names what to compare with" };
  }
  const earlier = alias.history.filter((move) => move.number < number && move.snapshots[fold] !== void 0).filter((move) => move.snapshots[fold].digest !== snapshot.digest).at(-1);
  if (earlier === void 0) return { note: `the first snapshot of ${alias.name} for this fold` };
  return {
    key: earlier.snapshots[fold].digest,
    against: `${alias.name} at move ${earlier.number}`
  };
}
async function comparisonOf(service, before, digest) {
  if ("note" in before) return before;
  const path = { a: before.key, b: digest };
  try {
    const diff = await service.ask("GET /v1/snapshots/{a}/diff/{b}", { path });
    return { against: before.against, diff };
  } catch (error2) {
    if (!isFailure(error2)) throw error2;
    return { note: `not compared with ${before.against}: ${error2.message}` };
  }
}

// infra/action/event.ts
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
function eventOf(env, matrix) {
  const name = env.GITHUB_EVENT_NAME ?? "";
  const payload = payloadOf(env.GITHUB_EVENT_PATH);
  const isPullRequest = name.startsWith("pull_request");
  const { pull_request: request } = payload;
  const attempt2 = env.GITHUB_RUN_ATTEMPT ?? "1";
  const run = `${env.GITHUB_SERVER_URL}/${env.GITHUB_REPOSITORY}/actions/runs/${env.GITHUB_RUN_ID}`;
  const runUrl = `${run}/attempts/${attempt2}`;
  const place = [env.GITHUB_WORKFLOW, env.GITHUB_JOB, env.GITHUB_ACTION, matrix];
  const step = [env.GITHUB_REPOSITORY_ID, env.GITHUB_RUN_ID, attempt2];
  return {
    isPullRequest,
    isFork: isPullRequest && request?.head?.repo?.id !== payload.repository?.id,
    pullRequest: request?.number ?? null,
    repository: env.GITHUB_REPOSITORY ?? "",
    reason: `GitHub workflow ${env.GITHUB_WORKFLOW}, ${name} of ${env.GITHUB_REF} at ${env.GITHUB_SHA?.slice(0, 12)} by ${env.GITHUB_ACTOR}: ${runUrl}`,
    runUrl,
    githubApi: env.GITHUB_API_URL ?? "https://api.github.com",
    step: `github-${step.join("-")}-${hashOf(place)}`,
    place: hashOf(place)
  };
}
var keyOf = ({ step }, body) => `${step}-${hashOf([body])}`;
function hashOf(parts) {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}
function payloadOf(path) {
  return path === void 0 ? {} : JSON.parse(readFileSync(path, "utf8"));
}

// infra/action/inputs.ts
function inputsOf(read) {
  const given = (name) => read(name) || null;
  const api = addressOf(read("api-url"));
  return {
    api,
    token: given("token"),
    audience: given("audience") ?? api,
    policy: given("policy") ?? void 0,
    source: sourceOf(read),
    launch: {
      target: given("target") ?? refuse("target", "name a launch target"),
      image: given("image") ?? void 0,
      seed: seedOf(given("seed") ?? "1"),
      ...jsonOf2(read, "settings", "resources", "monitors")
    },
    reason: given("reason"),
    compareTo: given("compare-to"),
    wait: flagOf("wait", given("wait") ?? "true"),
    timeoutMs: durationOf("timeout", given("timeout") ?? "6h"),
    pollMs: durationOf("poll", given("poll") ?? "10s"),
    conditions: conditionsOf(read("fail-if")),
    dryRun: flagOf("dry-run", given("dry-run") ?? "false"),
    comment: flagOf("pr-comment", given("pr-comment") ?? "false"),
    githubToken: read("github-token"),
    key: given("idempotency-key"),
    matrix: read("matrix")
  };
}
function refuse(name, what) {
  throw failure(`input ${name}: ${what}`, exitCodes.usage);
}
function addressOf(text) {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text.replace(/\/+$/, "");
  return refuse("api-url", `"${text}" is no address, as https://counterweight.example.org`);
}
function sourceOf(read) {
  const [snapshot, dataset, alias, folds] = ["snapshot", "dataset", "alias", "folds"].map(read);
  if (snapshot !== "") {
    const other = alias !== "" ? "alias" : folds !== "" ? "folds" : null;
    if (other !== null) return refuse(other, "give either snapshot, or dataset and alias");
    return { snapshot };
  }
  if (alias === "") return refuse("snapshot", "give either snapshot, or dataset and alias");
  if (dataset === "") return refuse("dataset", "name the dataset of the alias");
  return { dataset, alias, folds: folds === "" ? void 0 : foldsOf2(folds) };
}
function foldsOf2(text) {
  return text.split(",").map((part) => {
    const fold = part.trim();
    if (fold === "all") return fold;
    return /^\d+$/.test(fold) ? Number(fold) : refuse("folds", `"${fold}" is no fold; as 0,1,2`);
  });
}
function seedOf(text) {
  const seed = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(seed) ? seed : refuse("seed", `"${text}" is no whole number from 0 on`);
}
function jsonOf2(read, ...names) {
  const given = names.filter((name) => read(name).trim() !== "");
  return Object.fromEntries(given.map((name) => [name, objectOf(name, read(name))]));
}
function objectOf(name, text) {
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    return refuse(name, `it is not JSON (${cause.message})`);
  }
  return refuse(name, 'a JSON object is needed, as {"epochs": 100}');
}
function flagOf(name, text) {
  if (/^true$/i.test(text)) return true;
  if (/^false$/i.test(text)) return false;
  return refuse(name, `"${text}" is neither true nor false`);
}
var unitMs = {
  ms: 1,
  s: 1e3,
  m: 6e4,
  h: 36e5,
  d: 864e5
};
function durationOf(name, text) {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim()) ?? [];
  const duration = Number(number) * unitMs[unit];
  return duration > 0 ? duration : refuse(name, `"${text}" is no duration, as 30s, 90m or 6h`);
}
var condition = /^(?:mean\(\s*([^()<>\s]+)\s*\)|([^()<>\s]+))\s*<\s*(\d+(?:\.\d+)?|\.\d+)$/;
function conditionsOf(text) {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "").map((line) => {
    const [, inMean, alone, least] = condition.exec(line) ?? [];
    if (least === void 0) {
      return refuse("fail-if", `"${line}" is no condition, as dice.mean < 0.7, one a line`);
    }
    const figure2 = inMean ?? alone;
    return { figure: figure2, least: Number(least), ofMean: inMean !== void 0, text: line };
  });
}

// infra/action/launch.ts
function bodyOf(inputs, event, dryRun) {
  const { source, launch: launch2, reason } = inputs;
  return { ...source, ...launch2, reason: reason ?? event.reason, ...dryRun ? { dryRun } : {} };
}
async function launch(service, asked) {
  const { body, event, key, signal } = asked;
  const answer = await service.ask("POST /v1/jobs", {
    body,
    key: key ?? keyOf(event, body),
    signal
  });
  if ("state" in answer) return { jobs: [answer] };
  if ("batch" in answer) return { jobs: answer.items };
  if ("request" in answer) return { requests: [{ fold: null, request: answer.request }] };
  const requests = answer.items.map(({ fold, request }) => ({ fold: String(fold), request }));
  return { requests };
}

// infra/action/session.ts
var mostLeftMs = 3e5;
var hasIdTokens = ({ env }) => Boolean(env.ACTIONS_ID_TOKEN_REQUEST_URL && env.ACTIONS_ID_TOKEN_REQUEST_TOKEN);
function sessionsOf(world2, inputs, mask) {
  let held = null;
  let underWay = null;
  const exchanged = () => {
    underWay ??= exchange(world2, inputs, mask).then((session2) => {
      held = session2;
      return session2;
    }).finally(() => {
      underWay = null;
    });
    return underWay;
  };
  const session = async () => {
    if (held === null) return await exchanged();
    if (world2.now() < held.renewAt) return held;
    const old = held;
    return await exchanged().catch((error2) => {
      if (isFailure(error2) && error2.silent && world2.now() < old.endsAt) return old;
      throw error2;
    });
  };
  return {
    session,
    current: async () => (await session()).token,
    renewed: async (refused) => held !== null && held.token !== refused ? held.token : (await exchanged()).token
  };
}
async function exchange(world2, { api, audience, policy }, mask) {
  const common = { ...world2, patience: { tries: 5 }, timeoutMs: 2e4, whole: true };
  const withIdToken = async (url, init) => {
    const idToken = await requestIdToken(world2, audience, init?.signal ?? void 0);
    mask(idToken);
    return await world2.fetch(url, { ...init, body: JSON.stringify({ token: idToken, policy }) });
  };
  const mayRepeat = () => true;
  const sender = senderOf({ ...common, api, token: void 0, fetch: withIdToken, mayRepeat });
  const headers = { "content-type": "application/json" };
  const startedAt = world2.now();
  const answer = await successes(api, sender)("POST", "/v1/github/exchange", { headers });
  const session = await answer.json();
  mask(session.token);
  const clock = Date.parse(answer.headers.get("date") ?? "");
  const lifeMs = Date.parse(session.expiresAt) - (Number.isNaN(clock) ? Date.now() : clock);
  const endsAt = startedAt + lifeMs;
  world2.log(
    `session of ${session.actor} in workspace ${session.workspace} until ${session.expiresAt}`
  );
  return { ...session, endsAt, renewAt: endsAt - Math.min(lifeMs / 3, mostLeftMs) };
}
async function requestIdToken({ env, fetch: fetch2 }, audience, signal) {
  const url = `${env.ACTIONS_ID_TOKEN_REQUEST_URL}&audience=${encodeURIComponent(audience)}`;
  const authorization = `Bearer ${env.ACTIONS_ID_TOKEN_REQUEST_TOKEN}`;
  const answer = await fetch2(url, { headers: { authorization }, signal });
  const { value } = answer.ok ? await answer.json() : {};
  if (value !== void 0) return value;
  throw new Error(`GitHub gave no OIDC token: status ${answer.status}`);
}
var noCredentials = () => failure(
  'there is neither input token nor an OIDC token: give the job "permissions: id-token: write", or a token of the service',
  exitCodes.usage
);

// infra/action/step.ts
var launchGraceMs = 3e3;
var killedCancelMs = 6e4;
var readInputs = () => inputsOf((name) => getInput(name));
async function runStep(world2, stop2) {
  const inputs = readInputs();
  const event = eventOf(world2.env, inputs.matrix);
  const sessions = tokenOf2(world2, inputs);
  if (sessions === null) {
    if (!event.isFork) throw noCredentials();
    return await skip(world2, inputs, event);
  }
  const { api, source } = inputs;
  const token = sessions;
  const service = serviceOf(world2, { api, token, signal: stop2 });
  const launched = await launchOnce(world2, { inputs, event, token, stop: stop2 });
  const jobs = "jobs" in launched ? launched.jobs : [];
  if (jobs.length > 0 && inputs.wait) saveState("jobs", JSON.stringify(jobs.map(idOf)));
  const told = {
    state: "requests" in launched ? "dryRun" : stateOf(jobs),
    notes: [],
    jobs,
    folds: await comparedFolds(service, { source, compareTo: inputs.compareTo }, jobs),
    requests: "requests" in launched ? launched.requests : [],
    api,
    runUrl: event.runUrl
  };
  setOutputs(told);
  if ("requests" in launched) told.notes.push(dryRunNote(event));
  if ("requests" in launched || !inputs.wait && !stop2.aborted) {
    return await report(world2, inputs, event, told);
  }
  await seeThrough(world2, { inputs, event, service, token, told, stop: stop2 });
}
var idOf = ({ id }) => id;
function tokenOf2(world2, inputs) {
  if (inputs.token === null) {
    return hasIdTokens(world2) ? sessionsOf(world2, inputs, setSecret) : null;
  }
  setSecret(inputs.token);
  return inputs.token;
}
function dryRunNote({ isPullRequest }) {
  const why = isPullRequest ? ": runs of pull requests see what would be launched" : "";
  return `Dry run, nothing was launched${why}.`;
}
async function skip(world2, inputs, event) {
  const note = "This pull request comes from a fork, whose runs have no way to prove who they are: nothing was asked and nothing was launched.";
  notice(note);
  const nothing = { jobs: [], folds: [], requests: [], api: inputs.api, runUrl: event.runUrl };
  const told = { state: "skipped", notes: [note], ...nothing };
  setOutputs(told);
  await report(world2, { ...inputs, comment: false }, event, told);
}
async function launchOnce(world2, asked) {
  const { inputs, event, token, stop: stop2 } = asked;
  startGroup("Launch");
  try {
    const trusted = typeof token === "string" ? null : await token.session();
    const dryRun = inputs.dryRun || event.isPullRequest || trusted?.dryRunOnly === true;
    const body = bodyOf(inputs, event, dryRun);
    const service = serviceOf(world2, {
      api: inputs.api,
      token,
      patience: { tries: 8 },
      timeoutMs: 12e4,
      onRetry: (path, trouble, waitMs) => world2.log(`${path}: ${trouble}; trying again in ${(waitMs / 1e3).toFixed(1)} s`)
    });
    const signal = signalAfter(stop2, launchGraceMs);
    const launched = await launch(service, { body, event, key: inputs.key, signal });
    if ("jobs" in launched) {
      for (const job of launched.jobs) {
        world2.log(`fold ${job.snapshot.fold}: job ${job.id} is ${stateText(job)}`);
        world2.log(`  snapshot ${job.snapshot.digest}`);
      }
    }
    return launched;
  } catch (error2) {
    if (!stop2.aborted) throw error2;
    throw failure(
      "cancelled while the service was asked to launch: whether it did is not known. counterweight jobs lists what runs",
      exitCodes.failed
    );
  } finally {
    endGroup();
  }
}
function signalAfter(signal, milliseconds) {
  const later = new AbortController();
  const wait = () => setTimeout(() => later.abort(), milliseconds).unref();
  if (signal.aborted) wait();
  else signal.addEventListener("abort", wait, { once: true });
  return later.signal;
}
async function comparedFolds(service, asked, jobs) {
  try {
    return await foldsOf(service, asked, jobs);
  } catch (error2) {
    warning(`what changed in the draws is not known: ${error2.message}`);
    return [];
  }
}
async function seeThrough(world2, watch) {
  const { inputs, event, service, token, told, stop: stop2 } = watch;
  const { pollMs, timeoutMs } = inputs;
  startGroup(told.jobs.length === 1 ? "Job" : `${told.jobs.length} jobs`);
  const followed = await followJobs(world2, service, told.jobs, { pollMs, timeoutMs, stop: stop2 }).finally(
    endGroup
  );
  told.jobs = followed.jobs;
  if (followed.end === "ended") return await conclude(world2, watch);
  const cut = followed.end === "timedOut";
  const why = cut ? `the time-out of ${inputs.timeoutMs / 1e3} s` : "the cancelled workflow";
  const noted = await cancelAll(world2, { api: inputs.api, token }, told, why, event);
  told.state = cut ? "timedOut" : "cancelled";
  told.notes.push(...noted);
  setOutputs(told);
  await report(world2, cut ? inputs : { ...inputs, comment: false }, event, told);
  throw failure(noted.join("\n"), cut ? exitCodes.timedOut : exitCodes.failed);
}
async function cancelAll(world2, service, told, why, event) {
  const left = told.jobs.filter((job) => !hasEnded(job));
  const reason = `${why}: ${event.runUrl}`;
  const { jobs, faults } = await cancelJobs(world2, service, { ids: left.map(idOf), reason });
  told.jobs = told.jobs.map((job) => jobs.find(({ id }) => id === job.id) ?? job);
  if (faults.length === 0) saveState("jobs", "[]");
  return [`${jobs.map(idOf).join(", ") || "nothing"} cancelled because of ${why}`, ...faults];
}
async function conclude(world2, { inputs, event, told }) {
  saveState("jobs", "[]");
  const { jobs } = told;
  told.state = stateOf(jobs);
  const weak = told.state === "succeeded" ? gateFaults(jobs, inputs.conditions) : [];
  const ended = jobs.filter(({ state }) => state !== "succeeded").map((job) => `${nameOf(job, jobs)} ${stateText(job)}`);
  told.notes.push(...ended, ...weak);
  setOutputs(told);
  await report(world2, inputs, event, told);
  if (ended.length > 0) throw failure(ended.join("\n"), exitCodes.failed);
  if (weak.length > 0) throw failure(weak.join("\n"), exitCodes.gateNotMet);
  world2.log(`${jobs.map((job) => nameOf(job, jobs)).join(", ")} succeeded`);
}
async function afterStep(world2) {
  const ids = JSON.parse(getState("jobs") || "[]");
  if (ids.length === 0) return;
  const inputs = readInputs();
  const token = tokenOf2(world2, inputs);
  if (token === null) throw noCredentials();
  const { runUrl } = eventOf(world2.env, inputs.matrix);
  const reason = `its step ended before it did: ${runUrl}`;
  const asked = { ids, reason, withinMs: killedCancelMs };
  const { jobs, faults } = await cancelJobs(world2, { api: inputs.api, token }, asked);
  for (const job of jobs) world2.log(`job ${job.id} is ${stateText(job)}`);
  if (faults.length > 0) throw failure(faults.join("\n"), exitCodes.failed);
}

// infra/action/main.ts
var world = {
  env: process.env,
  fetch: (...args) => fetch(...args),
  sleep: (milliseconds, signal) => sleep(milliseconds, void 0, { signal }).catch(() => void 0),
  // only the signal throws
  random: Math.random,
  now: () => performance.now(),
  log: info
};
var stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => stop.abort());
var isAfter = getState("begun") === "true";
if (!isAfter) saveState("begun", "true");
try {
  await (isAfter ? afterStep(world) : runStep(world, stop.signal));
} catch (error2) {
  if (!isFailure(error2)) info(String(error2.stack));
  tellFailure(isFailure(error2) ? error2 : failure(error2.message, exitCodes.failed));
}
/*
Holds parts of @actions/core, whose license is:

The MIT License (MIT)

Copyright 2019 GitHub

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
*/
