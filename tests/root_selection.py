"""What ROOT's RDataFrame counts in files, as JSON; run by a Python that has ROOT, for `make test-root`."""

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


if __name__ == "__main__":
    print("counts:", json.dumps({path: counts(path) for path in sys.argv[1:]}))
