"""What ROOT's RDataFrame finds in files, as JSON; run by a Python that has ROOT, for `make test-root`."""

import json
import sys

import ROOT


def counts(path: str) -> dict[str, float]:
    """Jets above 30 GeV in the middle of the detector, their HT, events with two; for PHYSLITE in MeV."""
    with ROOT.TFile.Open(path) as file:
        nano = bool(file.GetListOfKeys().FindObject("Events"))
    frame = ROOT.RDataFrame("Events" if nano else "CollectionTree", path)
    pt, eta, cut = ("Jet_pt", "Jet_eta", 30) if nano else ("AnalysisJetsAuxDyn.pt", "AnalysisJetsAuxDyn.eta", 30000)
    good = frame.Define("good", f"{pt}[{pt} > {cut} && abs({eta}) < 2.4]").Define("count", "(double)good.size()")
    jets, ht, pairs = (
        good.Sum("count"),
        good.Define("ht", "(double)Sum(good)").Sum("ht"),
        good.Filter("count >= 2").Count(),
    )
    return {"jets": jets.GetValue(), "ht": ht.GetValue(), "events": pairs.GetValue()}


def sums(path: str) -> dict[str, str]:
    """Of every fifth list of numbers of NanoAOD's jets, the sum of its values, each times its place in the list."""
    frame = ROOT.RDataFrame("Events", path)
    names = sorted(str(name) for name in frame.GetColumnNames() if "Jet" in str(name))
    lists = [name for name in names if "RVec" in frame.GetColumnType(name)][::5]
    weighed = "double sum = 0; int place = 0; for (double value : {}) sum += ++place * value; return sum;"
    found = {name: frame.Define("sum", weighed.format(name)).Sum("sum") for name in lists}
    return {name: repr(value.GetValue()) for name, value in found.items()}


if __name__ == "__main__":
    nano = "nano" in sys.argv[1]
    print("found:", json.dumps([counts(path) | (sums(path) if nano else {}) for path in sys.argv[1:]]))
