"""The command lines whose products `same_products.py` compares, and those that make its inputs.

A case is a name and its command lines, one a line, run in a folder of the case's own in which `in`
is the folder of inputs. All files that are left in the case's folder are its products; of `info`
and `validate` what they print is. FLOOR stands for the least memory that the plan can do with.
"""

from __future__ import annotations

CARRIER = "in/frb_carrier_16MHz.h5"
COARSE = "in/frb_coarse_16MHz.0000.raw in/frb_coarse_16MHz.0001.raw"
LOWER = "in/pulsar_lower_8MHz.h5"
BAND = "in/fast_band_1GSa.h5"
HI = "in/SIMHI_onoff-M01_W_0001.fits in/SIMHI_onoff-M01_W_0002.fits"
PSR = "in/SIMPSR_tracking-M01_0001.fits in/SIMPSR_tracking-M01_0002.fits"

#: Made once, in this order, in the folder of inputs itself (`in` is that folder there).
INPUTS = f"""
simulate fast-voltage -o small.h5 --seed 5 --duration 12ms --fstart 1400MHz --bandwidth 8MHz
simulate fast-voltage -o rfi.h5 --seed 6 --duration 30ms --fstart 1400MHz --bandwidth 8MHz \
--bandpass flat --rfi start=2ms,duration=4ms,low=1402MHz,high=1402.3MHz,temperature=200K
simulate fast-spectral -o night.fits --seed 7 --n-chan 1024 --fstart 1415MHz --duration 60s \
--line peak=8K,fwhm=300kHz --carrier frequency=1417.3MHz,level=0.02 \
--rfi start=20s,duration=4s,low=1421MHz,high=1421.5MHz,temperature=3K \
--diode temperature=high,period=1258291200,on=251658240
simulate fast-scan -o . --seed 8 --name DRIFT --beams 1-4 --duration 60s --n-chan 256 \
--fstart 1414.5MHz --start-time 2023-12-01T16:30:00 --ra 4h17m40s --dec 20d \
--disk ra=4h17m40s,dec=20d1m,mass=1e9,distance=10Mpc,velocity=900km/s,radius=2kpc,rotation=90km/s \
--point ra=4h17m40s,dec=20d1m,flux=0.5Jy --diode temperature=high,period=503316480,on=251658240 \
--bandpass flat
simulate fast-scan -o . --seed 9 --name PULSAR --backend psrfits --beams 1 --observing tracking \
--duration 3.2s --integration 196.608us --fstart 1250MHz --bandwidth 125MHz --n-chan 64 --bits 16 \
--start-time 2023-12-01T17:00:00 --ra 5h34m31.9s --dec 22d0m52s --feed-angle 10deg --pulsar \
ra=5h34m31.9s,dec=22d0m52s,flux=3Jy,period=89.3ms,dm=67.99,duty=0.06,linear=0.6,angle=30deg \
--diode temperature=high --tcal q=0.1 --jones ratio=1.3,phase=50deg,delay=1ns
calibrate DRIFT_drifting-M01_W_0001.fits -o M01.h5 --tcal 12.5K --stokes I --flux --ky DRIFT_2*.xlsx
calibrate DRIFT_drifting-M02_W_0001.fits -o M02.h5 --tcal 12.5K --stokes I --flux --ky DRIFT_2*.xlsx
calibrate DRIFT_drifting-M03_W_0001.fits -o M03.h5 --tcal 12.5K --stokes I --flux --ky DRIFT_2*.xlsx
calibrate {HI} -o kelvin.h5 --tcal 12.5K
grid M01.h5 M02.h5 M03.h5 -o cube.fits --frame barycentric --axis VRAD --rest HI
spectra small.h5 -o spectra.h5 --n-chan 64 --n-int 16 --products AABBCRCI
spectra small.h5 -o spectra.fil --n-chan 64 --n-int 16 --lossy
spectra small.h5 -o one.h5 --n-chan 2 --n-freq 2 --n-int 16
spectra small.h5 -o one.dat --n-chan 2 --n-freq 2 --n-int 16 --lossy
convert small.h5 -o small.dada --lossy
convert small.h5 -o small.vdif --lossy
"""

_SPECTRA = f"""
integrate-two-workers: spectra {CARRIER} -o p.h5 --n-chan 256 --integrate 0.5ms -j 2
integrate-one-worker: spectra {CARRIER} -o p.h5 --n-chan 256 --integrate 0.5ms -j 1
integrate-unfused: spectra {CARRIER} -o p.h5 --n-chan 256 --integrate 0.5ms --unfused
little-memory: spectra {CARRIER} -o p.h5 --n-chan 256 --integrate 0.5ms --memory FLOOR
several-channels: spectra {CARRIER} -o p.{{n_chan}}.h5 --n-chan 64,512,2048 --integrate 1ms
several-little-memory: spectra {CARRIER} -o p.{{n_chan}}.h5 --n-chan 64,512 --n-int 7 --memory FLOOR
not-integrated: spectra in/small.h5 -o p.h5 --n-chan 64
stokes: spectra {LOWER} -o p.h5 --n-chan 64 --products IQUV --integrate 0.1ms
stokes-signs: spectra {LOWER} -o p.h5 --n-chan 64 --products IQUV --n-int 5 --sign-q -1 --sign-v -1
stokes-v: spectra {LOWER} -o p.h5 --n-chan 64 --products V --n-int 5
coherency: spectra {BAND} -o p.h5 --n-chan 256 --products AABBCRCI --n-int 4
coarse-channels: spectra {COARSE} -o p.h5 --n-chan 16 --products IQUV --n-int 8
coarse-band: spectra {COARSE} -o p.h5 --n-chan 16 --n-int 8 --fstart 1415MHz --fstop 1420MHz
oversampled-4-3: spectra {CARRIER} -o p.h5 --n-chan 256 --oversample 4/3 --integrate 0.25ms
oversampled-32-27: spectra {CARRIER} -o p.h5 --n-chan 128 --oversample 32/27 --n-int 20
oversampled-span: spectra {CARRIER} -o p.h5 --n-chan 128 --oversample 4/3 --n-int 20 --tstart 31ms
band: spectra {CARRIER} -o p.h5 --n-chan 256 --n-int 16 --fstart 1410MHz --fstop 1416MHz
band-and-span: spectra {CARRIER} -o p.h5 --n-chan 256 --n-int 16 --fstart 1410MHz --fstop 1416MHz \
--tstart 30ms --tstop 100ms
span: spectra {CARRIER} -o p.h5 --n-chan 256 --n-int 16 --tstart 30.0001ms --tstop 100ms
averaged-channels: spectra {CARRIER} -o p.h5 --n-chan 512 --n-int 16 --n-freq 8
averaged-channels-only: spectra in/small.h5 -o p.h5 --n-chan 512 --n-freq 4
deep: spectra {CARRIER} -o p.h5 --n-chan 64 --n-int 3000
deep-band: spectra {CARRIER} -o p.h5 --n-chan 64 --n-int 3000 --fstart 1410MHz --fstop 1412MHz
whole-file: spectra {CARRIER} -o p.h5 --n-chan 64 --integrate 1s -j 2
kurtosis: spectra in/rfi.h5 -o p.h5 --n-chan 128 --integrate 2ms --flag sk
kurtosis-sigma: spectra in/rfi.h5 -o p.h5 --n-chan 64 --n-int 300 --flag sk --flag-sigma 4 \
--products IQUV
kurtosis-oversampled: spectra in/rfi.h5 -o p.h5 --n-chan 64 --n-int 60 --flag sk --oversample 4/3
window-kaiser: spectra in/small.h5 -o p.h5 --n-chan 64 --n-int 9 --window kaiser:8 --n-tap 4
fft: spectra in/small.h5 -o p.h5 --n-chan 100 --n-int 9 --window none --n-tap 1
min-valid: spectra {CARRIER} -o p.h5 --n-chan 256 --n-int 16 --min-valid 0.3
strict: spectra {CARRIER} -o p.h5 --n-chan 256 --n-int 16 --min-valid 1
fbh5-gzip: spectra {CARRIER} -o p.h5 --n-chan 256 --n-int 32 --compression gzip
fbh5-none: spectra {CARRIER} -o p.h5 --n-chan 256 --n-int 32 --compression none
fbh5-8-bit: spectra {CARRIER} -o p.h5 --n-chan 256 --n-int 32 --bits 8
fbh5-mean: spectra {CARRIER} -o p.h5 --n-chan 256 --n-int 32 --blank mean
sigproc: spectra {CARRIER} -o p.fil --n-chan 256 --n-int 32 --lossy
sigproc-8-bit: spectra {CARRIER} -o p.fil --n-chan 256 --n-int 32 --bits 8 --scale 0.05 --lossy
psrfits: spectra {CARRIER} -o p.fits --n-chan 256 --n-int 32 --products AABBCRCI --lossy
psrfits-8-bit: spectra {CARRIER} -o p.fits --n-chan 256 --n-int 32 --bits 8 --lossy
presto: spectra {CARRIER} -o p.dat --n-chan 2 --n-int 32 --n-freq 2 --lossy
hifast: spectra {CARRIER} -o p.h5 --n-chan 256 --n-int 64 --products AABB --to hifast --lossy
dada: spectra in/small.dada -o p.h5 --n-chan 64 --n-int 16
vdif: spectra in/small.vdif -o p.h5 --n-chan 64 --n-int 16 --set frequency=1404MHz
hashed-and-verified: spectra in/small.h5 -o p.h5 --n-chan 64 --n-int 16 --hash-inputs --verify
renamed: spectra in/small.h5 -o p.h5 --n-chan 64 --n-int 16 --set telescope=GBT --set source=X
explain: spectra {CARRIER} -o p.h5 --n-chan 256 --integrate 0.5ms -j 2 --memory 1GB --explain
explain-band: spectra {CARRIER} -o p.{{n_chan}}.h5 --n-chan 64,256 --n-int 9 -j 2 --memory 1GB \
--explain --fstart 1410MHz
dry-run: spectra {CARRIER} -o p.h5 --n-chan 256 --integrate 0.5ms -j 2 --memory 1GB --dry-run --json
json: spectra in/small.h5 -o p.h5 --n-chan 64 --n-int 16 --json
refused: spectra in/small.h5 -o p.h5 --n-chan 63
"""

_COPIES = f"""
native: convert {COARSE} -o p.h5
guppi: convert {COARSE} -o p.raw --lossy
guppi-files: convert {COARSE} -o p.{{file}}.raw --file-size 400kB --lossy
refused-guppi: convert in/small.h5 -o p.raw --lossy
dada: convert in/small.h5 -o p.dada --lossy
dada-gap: convert {CARRIER} -o p.{{file}}.dada --lossy --bits 16
vdif: convert in/small.h5 -o p.vdif --lossy
vdif-2-bit: convert in/small.h5 -o p.vdif --lossy --bits 2 --scale 0.05
refused-loss: convert {CARRIER} -o p.{{file}}.dada
spectra-fbh5: convert {HI} -o p.h5
spectra-sigproc: convert {HI} -o p.fil --lossy
spectra-psrfits: convert {PSR} -o p.fits
spectra-psrfits-files: convert {PSR} -o p_{{file}}.fits --file-size 100kB --lossy
spectra-presto: convert in/one.h5 -o p.dat --lossy
spectra-hifast: convert {HI} -o p.h5 --to hifast --lossy
spectra-8-bit: convert in/spectra.h5 -o p.h5 --bits 8
spectra-of-sigproc: convert in/spectra.fil -o p.h5
cut-voltages: cut {CARRIER} -o p.h5 --tstart 20ms --tstop 40ms
cut-voltages-raw: cut {COARSE} -o p.raw --tstart 2ms --tstop 9ms --fstart 1415MHz --lossy
cut-spectra: cut {HI} -o p.h5 --tstart 5s --tstop 30s --fstart 1420MHz --fstop 1421MHz
cut-psrfits: cut {PSR} -o p.fits --tstart 0.1s --tstop 0.3s
simulate-voltage: simulate fast-voltage -o p.h5 --seed 3 --duration 5ms --fstart 1400MHz \
--bandwidth 8MHz --pulsar period=1.5ms,dm=30,duty=0.08,peak=60K --loss fraction=0.05 --truth t.json
simulate-guppi: simulate fast-voltage -o p.raw --coarse 4 --seed 3 --duration 5ms \
--fstart 1400MHz --bandwidth 8MHz --line frequency=1404MHz,peak=15K,fwhm=30km/s --lossy
simulate-spectral: simulate fast-spectral -o p.fits --n-chan 128 --seed 3 --duration 10s \
--source i=8K,q=2K,u=-3K,v=1.5K
simulate-psrfits: simulate fast-psrfits -o p.fits --seed 3 --duration 50ms --n-chan 32 \
--n-block 64 --pulsar period=20ms,dm=10,duty=0.08,peak=60K
simulate-scan: simulate fast-scan -o . --seed 3 --name S --beams 1+8 --duration 10s --n-chan 64 \
--ripple amplitude=1K,period=1.08MHz
info: info {CARRIER} {LOWER} in/spectra.h5 in/spectra.fil in/one.dat in/cube.fits \
in/small.vdif --json
info-text: info {COARSE} {HI} {PSR}
info-deep: info in/small.h5 in/spectra.h5 --json --deep
validate: validate {CARRIER} in/spectra.h5 in/cube.fits in/small.dada --json
validate-text: validate {COARSE} {HI}
"""

_REDUCTIONS = f"""
flag: flag in/night.fits -o p.h5 --protect 1419.5MHz-1421MHz -j 2
flag-options: flag in/night.fits -o p.h5 --bands fast --apart --width 21 --smooth 2MHz \
--n-segment 16 --max-window 8 --clip 0 --sum-threshold 5
flag-fits: flag in/night.fits -o p.fits --to psrfits --lossy
flag-picture: flag in/night.fits -o p.h5 --picture p.png
baseline: baseline in/kelvin.h5 -o p.h5 --method polynomial --order 5 --protect auto --keep k.h5
baseline-arpls: baseline in/kelvin.h5 -o p.h5 --method arpls --lam 1e6
baseline-fourier: baseline in/kelvin.h5 -o p.h5 --method ripple-fourier --n-rows 5 --keep k.h5 \
--period 0.5MHz -j 1
baseline-fourier-workers: baseline in/kelvin.h5 -o p.h5 --method ripple-fourier --n-rows 5 \
--period 0.5MHz -j 2 --bits 8
baseline-sine: baseline in/kelvin.h5 -o p.h5 --method ripple-sine --period 0.5MHz --harmonics 2
baseline-picture: baseline in/kelvin.h5 -o p.h5 --method polynomial --picture p.html \
--tstart 5s --fstop 1421MHz
calibrate: calibrate {HI} -o p.h5 --tcal 12.5K -j 2
calibrate-one-worker: calibrate {HI} -o p.h5 --tcal 12.5K,12K --smooth 0Hz --gain-time 20s -j 1
calibrate-blank: calibrate {HI} -o p.h5 --tcal 12.5K --on blank --stokes IQUV --picture p.png
calibrate-flux: calibrate in/DRIFT_drifting-M02_W_0001.fits -o p.h5 --tcal 12.5K --stokes I \
--flux --ky in/DRIFT_2*.xlsx --refraction 925,15,0.8,0.3m
calibrate-gain: calibrate {HI} -o p.h5 --tcal 12.5K --gain 16K/Jy --fstart 1420MHz --tstart 4s
calibrate-pulsar: calibrate in/PULSAR_tracking-M01_0001.fits -o p.h5 --tcal 13.75K,11.25K \
--diode mode=pulsar,first=0s --phase --stokes IQUV --ky in/PULSAR_2*.xlsx --feed-angle 10deg --flux
calibrate-fits: calibrate {PSR} -o p.fits --tcal 12.5K --lossy
calibrate-hifast: calibrate {HI} -o p.h5 --to hifast --tcal 12.5K --lossy
calibrate-dry: calibrate {HI} -o p.h5 --tcal 12.5K --dry-run --json -j 2 --memory 1GB
switch-position: switch in/gbt.fits -o p.h5 --mode ps --scan 152 --plnum 0 --picture p.png
switch-rows: switch in/gbt.fits -o p.h5 --mode ps --scan 152 --plnum 1 --rows all --smooth-ref 7
switch-total: switch in/gbt.fits -o p.h5 --mode tp --scan 153 --plnum 1 --integrations 0,2-4 --json
switch-on-off: switch {HI} -o p.h5 --mode onoff --period 20s --tsys 20K --settle 1s
switch-on-off-rows: switch {HI} -o p.h5 --mode onoff --period 20s --tcal 12.5K --rows all \
--diode period=503316480,on=251658240,first=251658240
frame: frame in/M01.h5 -o p.h5 --to barycentric --rest HI
frame-lsrk: frame in/M02.h5 -o p.h5 --to lsrk --width 10kHz --band 1415MHz-1416MHz -j 1
frame-position: frame {HI} -o p.h5 --to heliocentric --position 187.5deg,12.4deg --lobes 11 \
--memory FLOOR
frame-explain: frame in/M01.h5 -o p.h5 --to lsrk --explain -j 2 --memory 1GB
grid: grid in/M01.h5 in/M02.h5 in/M03.h5 -o p.fits -j 2
grid-velocity: grid in/M01.h5 in/M02.h5 in/M03.h5 -o p.fits --frame barycentric --axis VRAD \
--rest HI --vstart 700km/s --vstop 1100km/s --zero median -j 1
grid-options: grid in/M01.h5 in/M02.h5 -o p.fits --projection SIN --pixel 1arcmin --kernel 2arcmin \
--axis VOPT --rest HI --fstart 1415MHz --keep diode --min-weight 1s
grid-explain: grid in/M01.h5 in/M02.h5 -o p.fits --explain -j 2 --memory 1GB
extract: extract in/cube.fits -o p.ecsv --at 4:17:40,+20:01:00 --radius 3arcmin --fit 1
extract-point: extract in/cube.fits -o p.ecsv --at 4:17:40,+20:01:00 --fit profile \
--distance 10Mpc --baseline 1 --picture p.svg
moment-0: moment in/cube.fits -o p.fits --window 700km/s,1000km/s
moment-1: moment in/cube.fits -o p.fits --order 1 --window 700km/s,1000km/s --sigma 3
moment-2: moment in/cube.fits -o p.fits --order 2 --window 700km/s,1000km/s --sigma 3
"""

_VIEWS = f"""
voltages-png: view {CARRIER} -o p.png
voltages-html: view in/small.h5 -o p.html
spectra-png: view {HI} -o p.png --product BB
spectra-svg: view in/spectra.h5 -o p.svg --tstart 2ms --fstop 1406MHz
spectra-pdf: view in/spectra.h5 -o p.pdf
spectra-html: view {PSR} -o p.html --page-size 500kB
cube-png: view in/cube.fits -o p.png
cube-coverage: view in/cube.fits -o p.png --what coverage
cube-channels: view in/cube.fits -o p.svg --what channels
cube-spectrum: view in/cube.fits -o p.png --what spectrum --at 4:17:40,+20:01:00 --rest HI
cube-html: view in/cube.fits -o p.html
extract-png: extract in/cube.fits -o s.ecsv --at 4:17:40,+20:01:00 --fit 1
             view s.ecsv -o p.png
"""

_RECORDED_GBT = "recorded/dysh/TGBT21A_501_11/TGBT21A_501_11.raw.vegas.fits"
_RECORDED = f"""
gbt-position: switch {_RECORDED_GBT} -o p.h5 --mode ps --scan 152 --ifnum 0 --plnum 0
gbt-total: switch {_RECORDED_GBT} -o p.h5 --mode tp --scan 152 --ifnum 0 --plnum 0 --rows all
puppi: spectra recorded/baseband/sample_puppi.raw -o p.h5 --n-chan 8 --n-int 4 --products AABBCRCI
dada: spectra recorded/baseband/sample.dada -o p.h5 --n-chan 64 --n-int 4
mark4: spectra recorded/baseband/sample.m4 -o p.h5 --n-chan 64 --n-int 4 --set decade=2010 \
--set frequency=1.4GHz
tbb: spectra recorded/lofar_dal_h5/L59640_CS011_D20110719T110541.036Z_tbb.h5 -o p.h5 --n-chan 64 \
--n-int 4 --set dipole=011001010
burst: convert recorded/your/28.fil -o p.h5
burst-psrfits: convert recorded/your/28.fits -o p.fil --lossy
flagged: flag recorded/your/28.fil -o p.h5
info: info recorded/your/28.fil recorded/baseband/sample_puppi.raw --json
tcal-table: calibrate {HI} -o p.h5 --tcal recorded/fast_after/highcal_20201014_psr_tny.npz
"""


def lines(text: str) -> list[str]:
    """The lines of a text without the empty ones."""
    return [line for line in text.splitlines() if line.strip()]


def _cases(text: str) -> dict[str, list[str]]:
    """Command lines by the names of the cases; an indented line continues the case above it."""
    cases: dict[str, list[str]] = {}
    name = ""
    for line in lines(text):
        if line.startswith(" "):
            cases[name].append(line.strip())
        else:
            name, _, command = line.partition(": ")
            cases[name] = [command]
    return cases


#: Command lines by group and case.
COMMANDS = {"spectra": _cases(_SPECTRA), "copies": _cases(_COPIES),
            "reductions": _cases(_REDUCTIONS), "views": _cases(_VIEWS),
            "recorded": _cases(_RECORDED)}
