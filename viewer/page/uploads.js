// Files from buttons and files that are dropped on the page. The server alone says what became of them: viser's own
// upload reports success as soon as all bytes have arrived, also of a file that is then refused.

const PART_BYTES = 512 * 1024;

class Uploads {
  constructor(viser, maxBytes) {
    this.viser = viser;
    this.maxBytes = maxBytes;
    this.own = new Set();
    this.ignoreAcknowledgements();
    // Before React's listener, which would upload the file a second time.
    document.addEventListener("change", (event) => {
      const input = event.target;
      if (!input.id?.startsWith?.("file_upload_") || !input.files?.length) return;
      event.stopImmediatePropagation();
      this.send(input, input.files[0]);
    }, true);
    let depth = 0;  // dragenter and dragleave also come from the elements inside
    const over = (by) => {
      depth = by === 0 ? 0 : Math.max(0, depth + by);
      document.body.classList.toggle("avatar-dropping", depth > 0);
    };
    const files = (event) => Array.from(event.dataTransfer?.types ?? []).includes("Files");
    window.addEventListener("dragenter", (event) => files(event) && over(1));
    window.addEventListener("dragleave", (event) => files(event) && over(-1));
    window.addEventListener("dragover", (event) => files(event) && event.preventDefault());
    window.addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      over(0);
      for (const file of event.dataTransfer.files) this.drop(file);
    });
  }

  // The button whose kinds of files include this one.
  drop(file) {
    const inputs = Array.from(document.querySelectorAll('input[type="file"][id^="file_upload_"]'));
    const input = inputs.find((one) => accepts(one.accept, file));
    if (input) this.send(input, file);
    else toast(`${file.name} is neither a motion nor an image that this page can read.`);
  }

  async send(input, file) {
    if (file.size > this.maxBytes) {
      toast(`${file.name} is larger than ${Math.round(this.maxBytes / 2 ** 20)} MB.`);
      return;
    }
    if (file.size === 0) {
      toast(`${file.name} is empty.`);
      return;
    }
    const transfer = { source_component_uuid: input.id.slice("file_upload_".length), transfer_uuid: crypto.randomUUID?.() ??
      `${Date.now()}-${Math.random()}` };
    this.own.add(transfer.transfer_uuid);
    const count = Math.ceil(file.size / PART_BYTES);
    this.viser.sendMessage({ type: "FileTransferStartUpload", ...transfer, filename: file.name, mime_type: file.type,
      size_bytes: file.size, part_count: count });
    for (let i = 0; i < count; i++) {
      const content = await file.slice(i * PART_BYTES, (i + 1) * PART_BYTES).arrayBuffer();
      this.viser.sendMessage({ type: "FileTransferPart", ...transfer, part_index: i, content: new Uint8Array(content) });
    }
    input.value = "";
  }

  ignoreAcknowledgements() {
    const queue = this.viser.messageQueue, push = queue.push;
    queue.push = (...messages) => push.apply(queue, messages.filter(
      (message) => message.type !== "FileTransferPartAck" || !this.own.has(message.transfer_uuid)));
  }
}

function accepts(accept, file) {
  return accept.split(",").some((kind) => kind.startsWith(".")
    ? file.name.toLowerCase().endsWith(kind)
    : file.type.startsWith(kind.replace("*", "")));
}
