from pathlib import Path
import pickle
def write_report(folder, story):
    (folder/'story.pickle').write_bytes(pickle.dumps(story))
    return folder/'report.md'
