"""``fastsig live``: receive voltages or spectra, and write their products at once."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import click

from fastsig.cli import common


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("-o", "--output", type=common.OutputPath(), metavar="FOLDER", required=True,
              help="Write the products to this folder, which is created if necessary; the names "
                   "of data files contain the UTC time of their start or, for copies made by "
                   "--keep, of the burst.")
@click.option("--record", type=click.Choice(["native", "dada", "vdif"]),
              help="Record the voltages in this format. Lost samples are marked as invalid in "
                   "native files; they are 0 in DADA files, which cannot mark them, and in VDIF "
                   "files, which can mark only whole frames.")
@click.option("--spectra", is_flag=True, help="Write spectra.")
@common.ephemeris_options("--fold")
@click.option("--bursts", metavar="LOW:HIGH",
              help="Search for bursts with dispersion measures from LOW to HIGH, in pc cm^-3, e.g. "
                   "0:1000.")
@click.option("--threshold", type=float, default=7.0, show_default=True, metavar="X",
              help="Report bursts whose S/N is at least X.")
@click.option("--keep", metavar="TIME",
              help="With --bursts, keep the received data in memory for this long after the "
                   "search has read them, and copy the data around each burst to a file.")
@click.option("--around", metavar="TIME", default="0.1s", show_default=True,
              help="With --keep, copy the data from TIME before each burst to TIME after it.")
@click.option("--post", type=common.OutputPath(), metavar="PATH",
              help="Write a line of JSON for each burst to this file, FIFO or local socket.")
@click.option("--voevent", metavar="IVORN",
              help="With --post, write VOEvent documents instead of JSON, one per line, with "
                   "identifiers in the stream IVORN, e.g. ivo://example.org/bursts.")
@click.option("--picture", is_flag=True,
              help="Draw the spectra of about the last minute (or the last 300 spectra, if these "
                   "span a longer time) as FOLDER/live.png or, if there are several sources, as "
                   "FOLDER/s1-live.png and so on.")
@click.option("--every", metavar="TIME", default="5s", show_default=True,
              help="With --picture, redraw the picture at this interval.")
@click.option("--n-chan", type=click.IntRange(1), metavar="N",
              help="Divide each channel of voltages into N channels; required for voltages, "
                   "unless they are only recorded (--record).")
@click.option("--integrate", "time", metavar="TIME",
              help="Integrate over this time, rounded to a whole number of spectra, e.g. 1ms.  "
                   "[default: no integration]")
@click.option("--products", default="I", show_default=True,
              type=click.Choice(["I", "AABB", "AABBCRCI", "IQUV"]),
              help="Form these polarisation products from voltages.")
@click.option("--to", type=click.Choice(["fbh5", "sigproc"]), default="fbh5", show_default=True,
              help="Write spectra in this format.")
@common.profile_options
@click.option("--roll", metavar="TIME", default="60s", show_default=True,
              help="Begin new files at this interval.")
@click.option("--packets", type=click.Choice(["fast-adc", "fast-spectra", "vdif"]),
              default="fast-adc", show_default=True, help="Expect packets of this kind at "
                                                          "udp://HOST:PORT.")
@click.option("--beam", type=click.IntRange(1, 19), metavar="N",
              help="Use only the packets of this beam of FAST.  [default: use all packets]")
@click.option("--epoch", metavar="TIME",
              help="Set the UTC time at which the counter of FAST's packets is 0.  [default: "
                   "derived from the arrival time of the first packet]")
@click.option("--follow", metavar="TIME",
              help="If SOURCE is a file, process the file while it grows, and stop when it has "
                   "not grown for this long; required for a file.")
@click.option("--ring", metavar="SIZE",
              help="Keep this much of the newest data of each source in memory, e.g. 2GB.  "
                   "[default: for packets, about 1 s, or more if --keep requires it; otherwise a "
                   "size that does not depend on --keep]")
@click.option("--buffer", metavar="SIZE", default="64MiB", show_default=True,
              help="Request a buffer of this size from the operating system for packets that have "
                   "not yet been read.")
@click.option("--metrics", metavar="PLACE",
              help="Write metrics for Prometheus to this file once per second, or serve them at "
                   "127.0.0.1:PORT.")
@click.option("--page", metavar="PLACE",
              help="Serve a web page with counters, levels and, with --picture, the pictures; "
                   "PLACE is 127.0.0.1:PORT.")
@click.option("-j", "--workers", type=click.IntRange(1, 1024), metavar="N",
              help="Use this many threads for each product.  [default: one per processor, except "
                   "that a single thread searches the spectra for bursts]")
@click.option("--cpus", metavar="LIST",
              help="Use only these processors, e.g. 0,4-7, divided among the sources. If a source "
                   "has more than one, the first of them is reserved for the process that receives "
                   "its data.")
@click.option("--memory", metavar="SIZE",
              help="Limit the memory used by each process, e.g. to 500MB.")
@common.set_option
@common.quiet_options
@common.debug_option
def live(sources: tuple[str, ...], output: str, **options: Any) -> None:
    """Receive voltages or spectra, and process them as they arrive.

    A SOURCE is udp://HOST:PORT, a pipe, - for standard input, ring:NAME for packets in shared
    memory, psrdada:KEY for a PSRDADA ring buffer, or, with --follow, a file that grows. Each
    product of each source has a process of its own, and so has each source except a file or
    ring:NAME. On SIGTERM or Ctrl-C, nothing more is received, and all files are completed. On
    SIGHUP, new files are begun.
    """
    from fastsig.live.session import Session
    from fastsig.live.settings import sources_of

    settings = _settings(output, options)
    found = sources_of(sources, secrets.token_hex(2))
    with _Screen(settings.folder, [each.label for each in found], options) as screen:
        session = Session(found, settings, screen.say, screen.show, screen.answer)
        code = session.run()
    click.get_current_context().exit(code)


def _settings(output: str, options: dict[str, Any]) -> Any:
    from fastsig.errors import OutputError
    from fastsig.live.settings import Settings, processors_of, seconds
    from fastsig.work.memory import parse_bytes

    sizes = {name: None if options[name] is None else parse_bytes(options[name])
             for name in ("memory", "ring", "buffer")}
    made = Settings(
        output, record=options["record"], spectra=options["spectra"], n_chan=options["n_chan"],
        time=options["time"], products=options["products"], to=options["to"],
        pars=options["pars"], polycos=options["polycos"],
        fold={"n_bin": options["n_bin"], "subint": options["subint"]},
        bursts=options["bursts"], threshold=options["threshold"],
        keep_s=None if options["keep"] is None else seconds(options["keep"], "keep"),
        around_s=seconds(options["around"], "around", Fraction(0)), post=options["post"],
        voevent=_stream(options["voevent"], options["post"]),
        picture=options["picture"], every_s=float(seconds(options["every"], "every")),
        roll_s=seconds(options["roll"], "roll"), ring_bytes=sizes["ring"],
        follow_s=None if options["follow"] is None else float(
            seconds(options["follow"], "follow")),
        workers=options["workers"], memory=sizes["memory"],
        cpus=None if options["cpus"] is None else processors_of(options["cpus"]),
        overrides=common.parse_overrides(options["overrides"]), packets=options["packets"],
        beam=options["beam"], epoch=options["epoch"], buffer_bytes=sizes["buffer"] or 2**26)
    made.kinds()
    try:
        os.makedirs(output, exist_ok=True)
    except OSError as error:
        raise OutputError(output, error.strerror or str(error)) from error
    return made


def _stream(voevent: str | None, post: str | None) -> str | None:
    """Return the stream of VOEvent documents, if they are requested."""
    from fastsig.live.voevent import check_stream

    if voevent is None:
        return None
    if post is None:
        raise click.UsageError("--voevent without --post, which states where the documents go")
    return check_stream(voevent)


class _Screen:
    """What the operator sees: lines, a status on a terminal, and metrics."""

    _EVERY_S = 10.0

    def __init__(self, folder: str, labels: list[str], options: dict[str, Any]) -> None:
        from fastsig.live.metrics import metrics_text
        from fastsig.live.page import pages_of

        self._quiet = options["quiet"]
        self._terminal = sys.stderr.isatty() and not self._quiet
        self._last, self._status = 0.0, dict[str, Any](sources=[])
        pages = {"/metrics": lambda: ("text/plain; version=0.0.4",
                                      metrics_text(self._status).encode())}
        self._served: list[Any] = []
        self._unwritten: set[str] = set()
        #: File to which metrics are written.
        self._file = None if self._serve(options["metrics"], pages, "metrics") else (
            options["metrics"])
        pages = pages_of(folder, labels, lambda: self._status)
        if options["page"] is not None and not self._serve(options["page"], pages, ""):
            raise click.UsageError(f"--page {options['page']}; allowed: 127.0.0.1:PORT")

    def _serve(self, place: str | None, pages: Any, path: str) -> bool:
        """Serve pages at an address; return False if it is the name of a file, or None."""
        from fastsig.live.metrics import Served, place_of

        found = None if place is None else place_of(place)
        if found is None:
            return False
        self._served.append(Served(found, pages))
        self.say(f"{path or 'page'} at http://{found[0]}:{self._served[-1].port}/{path}")
        return True

    def say(self, text: str) -> None:
        """Show a line."""
        common.say(("\r\x1b[K" if self._terminal else "") + text, self._quiet)

    def show(self, status: dict[str, Any]) -> None:
        """Show a status, and write it for others."""
        from fastsig.live.metrics import write_metrics
        from fastsig.live.status import one_line, write_status

        self._status = status
        self._write("status", lambda: write_status(status))
        if (file := self._file) is not None:
            self._write("metrics", lambda: write_metrics(status, file))
        if self._terminal:
            click.echo(f"\r\x1b[K{one_line(status)}", err=True, nl=False)
        elif time.monotonic() > self._last + self._EVERY_S:
            self._last = time.monotonic()
            common.say(one_line(status), self._quiet)

    def _write(self, what: str, write: Callable[[], None]) -> None:
        """Write for others; a full disk ends products there, but not the session."""
        from fastsig.errors import OutputError

        try:
            write()
            self._unwritten.discard(what)
        except OutputError as error:
            if what not in self._unwritten:
                self.say(f"the {what} cannot be written: {error}")
            self._unwritten.add(what)

    def answer(self) -> None:
        """Answer requests for metrics and pages."""
        for each in self._served:
            each.answer()

    def __enter__(self) -> _Screen:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._terminal:
            click.echo("", err=True)
        for each in self._served:
            each.close()
