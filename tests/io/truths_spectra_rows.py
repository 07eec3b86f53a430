"""Rows of the table of truths: recorded spectra."""

from __future__ import annotations

from truths_checks import (
    baseline,
    burst,
    correlation,
    diode,
    fold,
    follows,
    getps,
    tables,
    total_power,
    tsys,
    twin,
)
from truths_spectra import Refused, Spectra

__all__ = ["TRUTHS"]

_OWN = "own parser of keywords and codes (struct, NumPy)"
_GBT = "astropy (values, times, frequencies); GBTIDL's numbers of MANIFEST.tsv"
_DAT = ("MANIFEST.tsv (mean 445404, std 3753; its chi2r of 1163 is of other bins); NumPy on the "
        "bytes, text of the .inf")
_T, _A = "dysh/TGBT21A_501_11/TGBT21A_501_11", "dysh/AGBT17A_404_01/AGBT17A_404_01_scan_19"
_ASCII = "dysh/gbtidl_spectra/onoff-L_gettp_156_intnum_0_{}.ascii"

TRUTHS = (
    Spectra(
        "priwo/tests/data/test_1bit.fil", "sigproc", "2017-09-21T00:00:00.000000000", "0.000512", 1,
        (58594, 1, 128), (493.77443, 500.024414), 0.499742667765, 0.499999934,
        {(0, 0, 0): 1, (29297, 0, 42): 1, (58593, 0, 127): 0}, _OWN),
    Spectra(
        "priwo/tests/data/test_2bit.fil", "sigproc", "2017-09-21T00:00:00.000000000", "0.000512", 2,
        (58594, 1, 128), (493.77443, 500.024414), 0.0093103602758, 0.136139773,
        {(0, 0, 0): 0, (29297, 0, 42): 0, (58593, 0, 127): 0}, _OWN),
    Spectra(
        "priwo/tests/data/test_4bit.fil", "sigproc", "2017-09-21T00:00:00.000000000", "0.000512", 4,
        (58594, 1, 128), (493.77443, 500.024414), 7.00863996314, 2.97234707,
        {(0, 0, 0): 2, (29297, 0, 42): 12, (58593, 0, 127): 9}, _OWN),
    Spectra(
        "priwo/tests/data/test_f32.tim", "sigproc", "2014-04-24T03:07:39.000000000", "6.4e-05", 32,
        (16, 1, 1), None, 7.5, 4.60977223, {(0, 0, 0): 0, (8, 0, 0): 8, (15, 0, 0): 15},
        f"MANIFEST.tsv (values 0 to 15); {_OWN}"),
    Spectra(
        "priwo/tests/data/test_i8.tim", "sigproc", "2020-02-21T03:24:53.999999715", "6.4e-05", 8,
        (16, 1, 1), None, 7.5, 4.60977223, {(0, 0, 0): 0, (8, 0, 0): 8, (15, 0, 0): 15},
        f"MANIFEST.tsv (values 0 to 15); {_OWN}", told="signed = 1 means signed codes"),
    Spectra(
        "priwo/tests/data/test_ui8.tim", "sigproc", "2020-02-21T03:24:53.999999715", "6.4e-05", 8,
        (16, 1, 1), None, 7.5, 4.60977223, {(0, 0, 0): 0, (8, 0, 0): 8, (15, 0, 0): 15},
        f"MANIFEST.tsv (values 0 to 15); {_OWN}"),
    Spectra(
        "setigen/sample.fil", "sigproc", "2018-12-13T17:12:36.999999890", "1.431655765333332", 32,
        (32, 1, 1024), (6663.998570060357, 6664.000000571832), 484170.364359, 253477.592,
        {(0, 0, 0): 166665.984, (16, 0, 341): 144609.812, (31, 0, 1023): 453541.875}, _OWN,
        header={"telescope": "GBT", "source": "DIAG_SGR_B2"}),
    Spectra(
        "sigpyproc/GBT_J1807-0847.tim", "sigproc", "2021-04-09T07:26:10.000982867", "0.00016384",
        32, (131130, 1, 1), None, 99.6761839396, 690.947261,
        {(0, 0, 0): -28, (65565, 0, 0): 204, (131129, 0, 0): 88},
        f"MANIFEST.tsv (mean 100, std 691); {_OWN}",
        header={"telescope": "GBT", "source": "J1807-0847"}),
    Spectra(
        "sigpyproc/parkes_1bit.fil", "sigproc", "2019-03-01T07:55:45.457652234", "0.000512", 1,
        (4096, 1, 832), (704.0, 4032.0), 0.501022925744, 0.499998954,
        {(0, 0, 0): 1, (2048, 0, 277): 0, (4095, 0, 831): 1},
        f"MANIFEST.tsv (lowest bits first: correlation); {_OWN}",
        more=(correlation("sigpyproc/parkes_8bit_1.fil", 0.790),)),
    Spectra(
        "sigpyproc/parkes_2bit.fil", "sigproc", "2019-03-01T07:55:45.457652234", "0.000512", 2,
        (4096, 1, 832), (704.0, 4032.0), 1.51148986816, 0.951325667,
        {(0, 0, 0): 2, (2048, 0, 277): 1, (4095, 0, 831): 2},
        f"MANIFEST.tsv (lowest bits first: correlation); {_OWN}",
        more=(correlation("sigpyproc/parkes_8bit_1.fil", 0.932),)),
    Spectra(
        "sigpyproc/parkes_4bit.fil", "sigproc", "2019-03-01T07:55:45.457652234", "0.000512", 4,
        (4096, 1, 832), (704.0, 4032.0), 7.5291533837, 1.34840872,
        {(0, 0, 0): 8, (2048, 0, 277): 7, (4095, 0, 831): 8},
        f"MANIFEST.tsv (lowest bits first: correlation); {_OWN}",
        more=(correlation("sigpyproc/parkes_8bit_1.fil", 0.976),)),
    Spectra(
        "sigpyproc/parkes_8bit_1.fil", "sigproc", "2019-03-01T07:55:45.457652234", "0.000512", 8,
        (4096, 1, 832), (704.0, 4032.0), 127.996176206, 22.3979721,
        {(0, 0, 0): 137, (2048, 0, 277): 125, (4095, 0, 831): 137}, _OWN,
        header={"telescope": "Parkes", "source": "J0534+2200"}),
    Spectra(
        "sigpyproc/parkes_8bit_2.fil", "sigproc", "2019-03-01T07:55:47.554803779", "0.000512", 8,
        (4096, 1, 832), (704.0, 4032.0), 127.958588233, 23.146153,
        {(0, 0, 0): 132, (2048, 0, 277): 125, (4095, 0, 831): 123}, _OWN,
        more=(follows("sigpyproc/parkes_8bit_1.fil"),)),
    Spectra(
        "sigpyproc/tutorial.fil", "sigproc", "1995-10-10T00:00:00.000000000", "0.00032", 2,
        (187520, 1, 64), (1440.785, 1510.545), 1.63638961844, 0.481038327,
        {(0, 0, 0): 2, (93760, 0, 21): 2, (187519, 0, 63): 2},
        f"MANIFEST.tsv (chi2r 146 at DM 30, 135 at DM 0; 64 bins); {_OWN}",
        more=(fold(0.25, {30: 146.434, 0: 134.991}),)),
    Spectra(
        "sigpyproc/tutorial_2bit.fil", "sigproc", "1995-10-10T00:00:00.000000000", "0.00032", 2,
        (187520, 1, 64), (1440.785, 1510.545), 1.63638961844, 0.481038327,
        {(0, 0, 0): 2, (93760, 0, 21): 2, (187519, 0, 63): 2}, _OWN,
        more=(twin("sigpyproc/tutorial.fil"),)),
    Spectra(
        "your/28.fil", "sigproc", "2019-07-18T14:53:15.363776316", "0.00126646875", 8,
        (5120, 1, 336), (1129.5, 1465.5), 127.421962193, 18.6926557,
        {(0, 0, 0): 115, (2560, 0, 112): 121, (5119, 0, 335): 152},
        f"MANIFEST.tsv (DM 475.0, t = 2.0276 s, S/N 14.6); {_OWN}. telescope_id 7 is GMRT in "
        "SIGPROC's list, though ASKAP recorded it",
        more=(burst(475, 2.0276, 14, 5120),), header={"telescope": "GMRT"}),
    Spectra(
        "your/small.fil", "sigproc", "2019-07-18T14:53:15.363776316", "0.00126646875", 8,
        (10, 1, 336), (1129.5, 1465.5), 128.530059524, 18.2668136,
        {(0, 0, 0): 115, (5, 0, 112): 88, (9, 0, 335): 142}, _OWN, more=(twin("your/28.fil", 10),)),
    Spectra(
        "sigpyproc/parkes_8bit_1.fil sigpyproc/parkes_8bit_2.fil", "sigproc",
        "2019-03-01T07:55:45.457652234", "0.000512", 8, (8192, 1, 832), (704.0, 4032.0),
        127.97738222, 22.7751428, {(0, 0, 0): 137, (4096, 0, 277): 110, (8191, 0, 831): 123},
        "MANIFEST.tsv (4096 samples apart): the two files above, one after another"),
    Spectra(
        "sigpyproc/GBT_J1807-0847.dat", "presto", "2021-04-09T07:26:10.000983040", "0.00016384", 32,
        (131072, 1, 1), (720.390625, 920.390625), 445404.089561, 3753.32797,
        {(0, 0, 0): 444259, (65536, 0, 0): 440723, (131071, 0, 0): 442931}, _DAT,
        beside="sigpyproc/GBT_J1807-0847.inf",
        header={"telescope": "GBT", "source": "J1807-0847", "backend": "VEGAS"},
        more=(fold(0.163713, {112.3802: 1131.633}),)),
    Spectra(
        "sigpyproc/GBT_J1807-0847.fft", "presto", "2021-04-09T07:26:10.000983040", "0.00016384", 32,
        (131072, 1, 1), (720.390625, 920.390625), 445404.09375, 3753.32621,
        {(0, 0, 0): 444258.95343599, (65536, 0, 0): 440722.95287434,
         (131071, 0, 0): 442931.03156401}, "NumPy: irfft of the bytes in float64, as float32",
        beside="sigpyproc/GBT_J1807-0847.inf",
        header={"telescope": "GBT", "source": "J1807-0847", "backend": "VEGAS"},
        more=(fold(0.163713, {112.3802: 1131.633}),)),
    Spectra(
        "fbh5_derived/gbt_sgrb2_fine.h5", "fbh5", "2018-12-13T17:12:36.999999890",
        "1.431655765333332", 32, (32, 1, 1024), (6663.998570060357, 6664.000000571832),
        484170.364359, 253477.592,
        {(0, 0, 0): 166665.984, (16, 0, 341): 144609.812, (31, 0, 1023): 453541.875},
        "MANIFEST.tsv (equal to sample.fil); h5py",
        header={"telescope": "GBT", "source": "DIAG_SGR_B2"}, more=(twin("setigen/sample.fil"),)),
    Spectra(
        "your/28.fits", "psrfits", "2019-07-18T14:53:15.363776316", "0.00126646875", 8,
        (5523, 1, 336), (1129.5, 1465.5), 118.124288689, 37.712073,
        {(0, 0, 0): 115, (2761, 0, 112): 150, (5522, 0, 335): 0},
        "MANIFEST.tsv (the 5120 spectra of 28.fil, then zeros; telescope wrong in the "
        "header); astropy",
        header={"telescope": "VLA"}, told="zeros, which apparently fill it up",
        more=(twin("your/28.fil", 5120), burst(475, 2.0276, 14, 5120))),
    Spectra(
        "your/small.fits", "psrfits", "2019-07-18T14:53:15.363776316", "0.00126646875", 8,
        (789, 1, 336), (1129.5, 1465.5), 1.62902483554, 14.5242571,
        {(0, 0, 0): 115, (394, 0, 112): 0, (788, 0, 335): 0},
        "MANIFEST.tsv (the 10 spectra of small.fil, then zeros; telescope wrong in the "
        "header); astropy",
        header={"telescope": "VLA"}, told="zeros, which apparently fill it up",
        more=(twin("your/small.fil", 10),)),
    Spectra(
        "dysh/AGBT04A_008_02/AGBT04A_008_02.cal.acs.testtrim.fits", "sdfits",
        "2004-04-22T04:52:31.000000000", "60.05999755859375", 32, (1, 1, 8192),
        (1375.0014342421875, 1425.0014342421875), 0.100205336391, 0.183197557,
        {(0, 0, 0): 1.02915561, (0, 0, 2730): -0.00854524784, (0, 0, 8191): 0.11784406}, _GBT,
        options={"table": 1}, header={"telescope": "GBT", "source": "3C286"},
        more=(tables((1, 8192), (3, 32768)), tsys(59.2997397),)),
    Spectra(
        "dysh/AGBT04A_008_02/AGBT04A_008_02.raw.acs/AGBT04A_008_02.raw.acs.testrim.fits", "sdfits",
        "2004-04-22T04:51:16.000000000", "30.029998779296875", 32, (1, 1, 8192),
        (1375.0014442421875, 1425.0014442421875), 7.71226132731, 2.46727268,
        {(0, 0, 0): 0.134648919, (0, 0, 2730): 7.21641731, (0, 0, 8191): 2.74443769}, _GBT,
        options={"table": 1, "scan": 220, "cal": "T"},
        header={"telescope": "GBT", "source": "3C286"},
        more=(tables((8, 8192), (10, 32768)), diode(59.2997397),)),
    Spectra(
        "dysh/AGBT17A_404_01/AGBT17A_404_01_scan_19_prebaseline.fits", "sdfits",
        "2017-06-16T10:32:51.000000000", "509.99627685546875", 32, (1, 1, 820),
        (1378.236075587402, 1401.6964637709957), -0.0768976090533, 0.0209368152,
        {(0, 0, 0): 0.0151284607, (0, 0, 273): -0.0482757948, (0, 0, 819): 0.00254308386}, _GBT,
        header={"telescope": "GBT", "source": "A123606"},
        more=(tables((1, 820)), baseline(f"{_A}_bmodel.fits", ((100, 380), (450, 720)), 1e-8),
              baseline(f"{_A}_noregion_bmodel.fits", ((0, 819),), 1e-8))),
    Spectra(
        "dysh/AGBT17A_404_01/AGBT17A_404_01_scan_19_bmodel.fits", "sdfits",
        "2017-06-16T10:32:51.000000000", "509.99627685546875", 32, (1, 1, 820),
        (1378.236075587402, 1401.6964637709957), -0.0798656354454, 0.0136620427,
        {(0, 0, 0): -0.102774948, (0, 0, 273): -0.0609802045, (0, 0, 819): -0.077082485}, _GBT,
        header={"telescope": "GBT", "source": "A123606"}, more=(tables((1, 820)),)),
    Spectra(
        "dysh/AGBT17A_404_01/AGBT17A_404_01_scan_19_noregion_bmodel.fits", "sdfits",
        "2017-06-16T10:32:51.000000000", "509.99627685546875", 32, (1, 1, 820),
        (1378.236075587402, 1401.6964637709957), -0.0768976090567, 0.0131529007,
        {(0, 0, 0): -0.0734728947, (0, 0, 273): -0.0649015233, (0, 0, 819): -0.066421397}, _GBT,
        header={"telescope": "GBT", "source": "A123606"}, more=(tables((1, 820)),)),
    Spectra(
        "dysh/AGBT21B_024_01/AGBT21B_024_01.raw.vegas/AGBT21B_024_01.raw.vegas.testtrim.fits",
        "sdfits", "2021-11-05T03:50:30.000000000", "61.02485275268555", 32, (1, 1, 16384),
        (109246.46080036719, 110746.46080036719), 22486037.1661, 10674316.6,
        {(0, 0, 0): 104120.258, (0, 0, 5461): 30206916, (0, 0, 16383): float("nan")}, _GBT,
        options={"table": 2, "scan": 104}, header={"telescope": "GBT", "source": "ORIONKL"},
        more=(tables((2, 1024), (2, 16384)),)),
    Spectra(
        "dysh/TGBT17A_506_11/TGBT17A_506_11.raw.vegas.A_truncated_rows.fits", "sdfits",
        "2017-05-17T05:23:24.000000000", "0.499821215", 32, (1, 1, 4096),
        (1408.1455481166993, 1431.5830481166993), 380702335.441, 120793158,
        {(0, 0, 0): 3460212.5, (0, 0, 1365): 412439936, (0, 0, 4095): 3573020.5}, _GBT,
        options={"table": 2, "ifnum": 0, "plnum": 0, "cal": "F"},
        header={"telescope": "GBT", "source": "NGC6946"}, more=(tables((3, 32768), (5, 4096)),)),
    Spectra(
        "dysh/TGBT21A_501_11/TGBT21A_501_11.raw.156.fits", "sdfits",
        "2021-02-10T07:57:41.000000000", "1.999285", 32, (1, 1, 32768),
        (1396.6259804028682, 1420.0634804028682), 472174093.937, 147259927,
        {(0, 0, 0): 3399824.25, (0, 0, 10922): 525160032, (0, 0, 32767): 3653823}, _GBT,
        options={"ifnum": 0, "plnum": 0, "cal": "F"},
        header={"telescope": "GBT", "source": "NGC2782"},
        more=(tables((7, 32768)),
              *(total_power(_ASCII.format(each)) for each in ("TOPO", "LSR", "BAR", "HEL"))),
        beside=" ".join(_ASCII.format(each) for each in ("TOPO", "LSR", "BAR", "HEL"))),
    Spectra(
        "dysh/TGBT21A_501_11/TGBT21A_501_11.raw.vegas.fits", "sdfits",
        "2021-02-10T07:43:51.500000000", "0.9982445240020752", 32, (1, 1, 32768),
        (1390.8273774028683, 1414.2648774028683), 463598521.783, 145372999,
        {(0, 0, 0): 3509699, (0, 0, 10922): 488850912, (0, 0, 32767): 3581231.25}, _GBT,
        options={"scan": 153, "cal": "F"}, header={"telescope": "GBT", "source": "NGC2415"},
        more=(tables((4, 32768)), diode(17.2400033),)),
    Spectra(
        "dysh/TGBT21A_501_11/TGBT21A_501_11_2.raw.vegas.fits", "sdfits",
        "2021-02-10T07:43:51.500000000", "2", 32, (2, 1, 32768),
        (1390.8273774028683, 1414.2648774028683), 463414846.237, 145287358,
        {(0, 0, 0): 3509699, (1, 0, 10922): 510146336, (1, 0, 32767): 3555002.75}, _GBT,
        options={"scan": 153, "cal": "F"}, header={"telescope": "GBT", "source": "NGC2415"},
        more=(tables((8, 32768)),)),
    Spectra(
        "dysh/TGBT21A_501_11/TGBT21A_501_11_ifnum_0_int_0-2.fits", "sdfits",
        "2021-02-10T07:38:37.500000000", "1.995", 32, (3, 1, 32768),
        (1390.8265444028682, 1414.2640444028682), 606116789.413, 195509579,
        {(0, 0, 0): 3529966.75, (1, 0, 10922): 562175488, (2, 0, 32767): 3812503.25}, _GBT,
        options={"scan": 152, "cal": "F", "plnum": 1},
        header={"telescope": "GBT", "source": "NGC2415"}, more=(tables((24, 32768)),)),
    Spectra(
        "dysh/TGBT21A_501_11/TGBT21A_501_11_getps_scan_152_intnum_0_ifnum_0_plnum_0.fits", "sdfits",
        "2021-02-10T07:38:37.500000000", "1.9964890480041504", 32, (1, 1, 32768),
        (1390.8265444028682, 1414.2640444028682), 0.218538740435, 0.679674323,
        {(0, 0, 0): -0.23867549, (0, 0, 10922): 0.284173399, (0, 0, 32767): 0.0975423679}, _GBT,
        header={"telescope": "GBT", "source": "NGC2415"},
        more=(tables((1, 32768)), getps(f"{_T}.raw.vegas.fits", 0, 17.2400033, 3e-6, 1),)),
    Spectra(
        "dysh/TGBT21A_501_11/TGBT21A_501_11_getps_scan_152_ifnum_0_plnum_0_smthoff_15.fits",
        "sdfits", "2021-02-10T07:38:37.500000000", "1.9964890480041504", 32, (1, 1, 32768),
        (1390.8265444028682, 1414.2640444028682), 0.206125460595, 0.49524715,
        {(0, 0, 0): -0.370124876, (0, 0, 10922): 0.526321709, (0, 0, 32767): 0.183698237}, _GBT,
        header={"telescope": "GBT", "source": "NGC2415"},
        more=(tables((1, 32768)), getps(f"{_T}.raw.vegas.fits", 0, 17.2400033, 3e-6, 1, 15),)),
    Spectra(
        "dysh/TGBT21A_501_11/TGBT21A_501_11_ifnum_0_int_0-2_getps_152_plnum_0.fits", "sdfits",
        "2021-02-10T07:38:37.500000000", "5.989466999999999", 32, (1, 1, 32768),
        (1390.8265444028682, 1414.2640444028682), 0.233856240034, 0.39087237,
        {(0, 0, 0): -0.198711842, (0, 0, 10922): 0.328836739, (0, 0, 32767): 0.396605045}, _GBT,
        header={"telescope": "GBT", "source": "NGC2415"},
        more=(tables((1, 32768)), getps(f"{_T}_ifnum_0_int_0-2.fits", 0, 17.1892525, 3e-6, 3),)),
    Spectra(
        "dysh/TGBT21A_501_11/TGBT21A_501_11_ifnum_0_int_0-2_getps_152_plnum_1.fits", "sdfits",
        "2021-02-10T07:38:37.500000000", "5.989466999999999", 32, (1, 1, 32768),
        (1390.8265444028682, 1414.2640444028682), 0.122057003071, 0.381319379,
        {(0, 0, 0): 0.0471477099, (0, 0, 10922): -0.00932176877, (0, 0, 32767): 0.593912482}, _GBT,
        header={"telescope": "GBT", "source": "NGC2415"},
        more=(tables((1, 32768)), getps(f"{_T}_ifnum_0_int_0-2.fits", 1, 16.9086583, 3e-6, 3),)),

    Spectra(
        "lofar_dal_h5/L30042_SAP000_B000_S0_P000_bf.h5", "lofar_bf",
        "2011-07-27T12:00:00.000000000", "0.00131072", 32, (1, 1, 3840), None, 0.0015625,
        0.0603605162924, {(0, 0, 0): 1, (0, 0, 1): 2, (0, 0, 2): 3, (0, 0, 3839): 0},
        "MANIFEST.tsv (the first values are 1, 2, 3, then zeros; 4, 5, 6 end the raw file, in a "
        "row of which two values are missing); NumPy on the raw file, h5py",
        header={"telescope": "LOFAR", "beam": 0},
        told="1 complete rows are present; does not state its sky frequency",
        beside="lofar_dal_h5/L30042_SAP000_B000_S0_P000_bf.raw"),

    # Files of spectra, or nearly, that no reader takes.
    Refused("priwo/tests/data/test_16bit.fil", "no whole spectrum follows the header: only 0 of",
            "MANIFEST.tsv: a header alone"),
    Refused("psrsigsim/data/B1855+09.L-wide.PUPPI.11y.x.sum.sm", "PSRFITS of folded profiles",
            "MANIFEST.tsv: a profile of 2048 bins; OBS_MODE = 'PSR'"),
    *(Refused(f"pulseportraiture/example-{number}.fits", "PSRFITS of folded profiles",
              "MANIFEST.tsv: folded by PSRCHIVE; OBS_MODE = 'PSR', NBIN = 512")
      for number in (1, 2)),
    Refused("clfd/psrchive_example.ar", "PSRCHIVE's Timer format, which fastsig does not read",
            "README.md: an archive of PSRCHIVE that is not FITS"),
    Refused("presto_prepfold/goodfolds/M28A_bary_PSR_1824-2452A.pfd",
            "folded profiles of PRESTO's prepfold",
            "PRESTO's fold: profiles, no spectra"),
    Refused("frbgui/docs/tutorials/files/aggarwal2021_B006.npz",
            "an archive of files (ZIP, or NumPy's .npz)",
            "a NumPy archive of a waterfall: arrays whose names alone tell what they are"),
    *(Refused(f"{name}.inf", f"{name.rpartition('/')[2]}.inf",
              "a PRESTO header whose data are not in the folder") for name in (
        *(f"priwo/tests/data/test{each}" for each in ("", "_radio", "_radio_breaks", "_xray")),
        "presto_prepfold/M28A_bary", "presto_prepfold/1937_DM71.02_zerodm")),
)
