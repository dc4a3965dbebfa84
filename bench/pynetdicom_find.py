"""pynetdicom's C-FIND: every answer as a data set, its number of images summed."""

from __future__ import annotations

import json
import sys
import time

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as StudyRoot  # type: ignore[attr-defined]


def main(port: int) -> None:
    entity = AE(ae_title="LEADAPRON")
    entity.add_requested_context(StudyRoot, "1.2.840.10008.1.2")
    entity.maximum_pdu_size = 0
    association = entity.associate("127.0.0.1", port)
    assert association.is_established
    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    keys.StudyInstanceUID = keys.NumberOfStudyRelatedSeries = keys.NumberOfStudyRelatedInstances = ""
    answers = images = 0
    begun = time.perf_counter()
    for _status, identifier in association.send_c_find(keys, StudyRoot):
        if identifier is not None:
            answers += 1
            images += int(identifier.NumberOfStudyRelatedInstances)
    seconds = time.perf_counter() - begun
    association.release()
    print(json.dumps({"done": answers, "images": images, "seconds": seconds}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
