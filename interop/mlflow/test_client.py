"""What MLflow's real client sees of the registry's protocol."""

import time

import pytest
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

SOURCE = "runs:/run_id/model"


def millis():
    return int(time.time() * 1000)


def drain(search, **arguments):
    """All pages of a search."""
    rows, token = [], None
    while True:
        page = search(page_token=token, **arguments)
        rows.extend(page)
        token = page.token
        if not token:
            return rows


def test_model_is_created_with_its_tags_and_times(client):
    before = millis()
    made = client.create_registered_model("Fraud model", {"team": "risk", "n": 7}, "what it is")
    after = millis()
    got = client.get_registered_model("Fraud model")
    for m in (made, got):
        assert isinstance(m, RegisteredModel)
        assert (m.name, m.description, m.tags) == ("Fraud model", "what it is", {"team": "risk", "n": "7"})
        assert before <= m.creation_timestamp <= after
        assert m.last_updated_timestamp == m.creation_timestamp
        assert m.latest_versions == [] and m.aliases == {}


def test_second_model_of_a_name_is_refused(client):
    client.create_registered_model("m")
    with pytest.raises(MlflowException, match=r"Registered Model \(name=m\) already exists") as e:
        client.create_registered_model("m")
    assert e.value.error_code == "RESOURCE_ALREADY_EXISTS"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "Missing value for required parameter 'name'"),
        ("a/b", r"Invalid model name 'a/b'. Names cannot contain '/' or ':'"),
        ("a:b", r"Names cannot contain '/' or ':'"),
        ("..", "Names may be treated as files"),
        (".", "Names may be treated as files"),
        ("n" * 257, "'name' exceeds the maximum length of 256 characters"),
    ],
)
def test_name_that_cannot_be(client, name, says):
    with pytest.raises(MlflowException, match=says) as e:
        client.create_registered_model(name)
    assert e.value.error_code == "INVALID_PARAMETER_VALUE"


def test_rename_carries_versions_tags_and_aliases(client):
    client.create_registered_model("old", {"k": "v"}, "d")
    client.create_model_version("old", SOURCE, "run_id")
    client.set_registered_model_alias("old", "blue", 1)
    client.rename_registered_model("old", "new")
    with pytest.raises(MlflowException, match="Registered Model with name=old not found"):
        client.get_registered_model("old")
    m = client.get_registered_model("new")
    assert (m.description, m.tags, m.aliases) == ("d", {"k": "v"}, {"blue": "1"})
    assert client.get_model_version_by_alias("new", "blue").source == SOURCE
    assert [v.name for v in client.search_model_versions("name = 'old'")] == []
    client.create_registered_model("taken")
    with pytest.raises(MlflowException, match="already exists") as e:
        client.rename_registered_model("new", "taken")
    assert e.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_description_is_updated_and_tags_do_not_touch_times(client):
    m = client.create_registered_model("m")
    client.set_registered_model_tag("m", "k", "")
    client.set_registered_model_tag("m", "k2", 12)
    got = client.get_registered_model("m")
    assert got.tags == {"k": "", "k2": "12"}
    assert got.last_updated_timestamp == m.last_updated_timestamp
    client.delete_registered_model_tag("m", "k")
    client.delete_registered_model_tag("m", "absent")
    time.sleep(0.002)
    assert client.update_registered_model("m", "new words").description == "new words"
    got = client.get_registered_model("m")
    assert got.tags == {"k2": "12"}
    assert got.last_updated_timestamp > m.last_updated_timestamp


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("", "v", "Missing value for required parameter 'key'"),
        ("k" * 251, "v", "'key' exceeds the maximum length of 250 characters"),
        ("k", "v" * 100_001, "'value' exceeds the maximum length of 100000 characters"),
        ("a/../b", "v", "Names may be treated as files"),
        ("k;", "v", "Names may only contain alphanumerics"),
    ],
)
def test_tag_that_cannot_be(client, key, value, says):
    client.create_registered_model("m")
    client.create_model_version("m", SOURCE, "run_id")
    for attempt in (
        lambda: client.set_registered_model_tag("m", key, value),
        lambda: client.set_model_version_tag("m", "1", key, value),
    ):
        with pytest.raises(MlflowException, match=says) as e:
            attempt()
        assert e.value.error_code == "INVALID_PARAMETER_VALUE"


def test_deleted_model_is_gone_and_its_numbers_are_not_given_again(client):
    client.create_registered_model("m")
    client.create_model_version("m", SOURCE, "run_id")
    client.delete_registered_model("m")
    with pytest.raises(MlflowException, match="Registered Model with name=m not found") as e:
        client.get_registered_model("m")
    assert e.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert client.search_registered_models() == []
    client.create_registered_model("m")
    assert client.search_model_versions("name = 'm'") == []
    assert client.create_model_version("m", SOURCE, "run_id").version == "2"


def test_version_is_created_ready(client):
    client.create_registered_model("m")
    before = millis()
    made = client.create_model_version(
        "m", SOURCE, "run_id", {"k": "v", "n": 1}, "http://ml/run", "what it is"
    )
    after = millis()
    got = client.get_model_version("m", "1")
    for v in (made, got):
        assert isinstance(v, ModelVersion)
        assert (v.name, v.version, v.source, v.run_id) == ("m", "1", SOURCE, "run_id")
        assert (v.status, v.current_stage, v.run_link) == ("READY", "None", "http://ml/run")
        assert (v.tags, v.description) == ({"k": "v", "n": "1"}, "what it is")
        assert before <= v.creation_timestamp <= after
    assert client.get_registered_model("m").latest_versions == [got]
    assert client.get_registered_model("m").last_updated_timestamp == got.creation_timestamp
    assert client.get_model_version_download_uri("m", "1") == SOURCE
    with pytest.raises(MlflowException, match=r"Model Version \(name=m, version=2\) not found"):
        client.get_model_version("m", "2")
    with pytest.raises(MlflowException, match="Parameter 'version' must be an integer, got 'x'"):
        client.get_model_version("m", "x")


def test_version_numbers_are_not_given_again(client):
    client.create_registered_model("m")
    for _ in range(3):
        client.create_model_version("m", SOURCE, "run_id")
    client.delete_model_version("m", "3")
    client.delete_model_version("m", "2")
    assert client.create_model_version("m", SOURCE, "run_id").version == "4"
    assert {v.version for v in client.search_model_versions("name = 'm'")} == {"1", "4"}
    for attempt in (
        lambda: client.get_model_version("m", "2"),
        lambda: client.update_model_version("m", "2", "d"),
        lambda: client.set_model_version_tag("m", "2", "k", "v"),
        lambda: client.delete_model_version("m", "2"),
        lambda: client.get_model_version_download_uri("m", "2"),
        lambda: client.set_registered_model_alias("m", "a", "2"),
    ):
        with pytest.raises(MlflowException, match=r"Model Version \(name=m, version=2\) not found"):
            attempt()


def test_version_is_described_and_tagged(client):
    client.create_registered_model("m")
    client.create_model_version("m", SOURCE, "run_id")
    client.update_model_version("m", "1", "words")
    client.set_model_version_tag("m", "1", "k", "")
    client.set_model_version_tag("m", "1", "k2", 5)
    client.delete_model_version_tag("m", "1", "absent")
    got = client.get_model_version("m", "1")
    assert (got.description, got.tags) == ("words", {"k": "", "k2": "5"})
    client.delete_model_version_tag("m", "1", "k")
    assert client.get_model_version("m", "1").tags == {"k2": "5"}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_stages(client):
    client.create_registered_model("m")
    for _ in range(4):
        client.create_model_version("m", SOURCE, "run_id")
    client.transition_model_version_stage("m", "1", "Staging")
    client.transition_model_version_stage("m", "2", "STAGING")
    latest = lambda stages=None: {v.current_stage: v.version for v in client.get_latest_versions("m", stages)}
    assert latest() == {"None": "4", "Staging": "2"}
    assert latest(["staging"]) == {"Staging": "2"}
    got = client.transition_model_version_stage("m", "3", "staging", archive_existing_versions=True)
    assert got.current_stage == "Staging"
    assert latest() == {"None": "4", "Staging": "3", "Archived": "2"}
    assert client.get_model_version("m", "1").current_stage == "Archived"
    with pytest.raises(MlflowException, match="Invalid Model Version stage: Moon"):
        client.transition_model_version_stage("m", "1", "Moon")
    with pytest.raises(MlflowException, match="'None' is not an Active stage"):
        client.transition_model_version_stage("m", "1", "None", archive_existing_versions=True)


def test_aliases_move_and_go_with_their_version(client):
    client.create_registered_model("m")
    for _ in range(2):
        client.create_model_version("m", SOURCE, "run_id")
    client.set_registered_model_alias("m", "blue", "1")
    client.set_registered_model_alias("m", "green", "1")
    assert sorted(client.get_model_version_by_alias("m", "blue").aliases) == ["blue", "green"]
    client.set_registered_model_alias("m", "blue", "2")
    assert client.get_registered_model("m").aliases == {"blue": "2", "green": "1"}
    assert client.get_model_version("m", "2").aliases == ["blue"]
    client.delete_registered_model_alias("m", "green")
    client.delete_registered_model_alias("m", "green")
    client.delete_model_version("m", "2")
    assert client.get_registered_model("m").aliases == {}
    with pytest.raises(MlflowException, match="Registered model alias blue not found") as e:
        client.get_model_version_by_alias("m", "blue")
    assert e.value.error_code == "INVALID_PARAMETER_VALUE"
    assert client.get_model_version_by_alias("m", "latest").version == "1"


@pytest.mark.parametrize(
    ("alias", "says"),
    [
        ("a b", "Invalid alias name: 'a b'. Names may only contain alphanumerics"),
        ("Latest", "'latest' alias name .case insensitive. is reserved"),
        ("v12", "Version alias name 'v12' is reserved"),
        ("a" * 256, "'Registered model alias name' exceeds the maximum length of 255"),
    ],
)
def test_alias_that_cannot_be(client, alias, says):
    client.create_registered_model("m")
    client.create_model_version("m", SOURCE, "run_id")
    with pytest.raises(MlflowException, match=says):
        client.set_registered_model_alias("m", alias, "1")


def test_copy_of_a_version_points_to_the_first_source(client):
    client.create_registered_model("m")
    client.create_model_version("m", SOURCE, "run_id", {"k": "v"}, description="d")
    copy = client.copy_model_version("models:/m/1", "other")
    assert (copy.name, copy.version, copy.source, copy.description) == ("other", "1", "models:/m/1", "d")
    assert (copy.tags, copy.run_id) == ({"k": "v"}, "run_id")
    assert client.get_model_version_download_uri("other", "1") == SOURCE
    again = client.copy_model_version("models:/other/1", "third")
    assert client.get_model_version_download_uri("third", again.version) == SOURCE
    with pytest.raises(MlflowException, match=r"Model Version \(name=m, version=9\) not found"):
        client.copy_model_version("models:/m/9", "other")


NAMES = [f"Model{i:02}" for i in range(23)]


@pytest.mark.parametrize("most", [1, 7, 100])
@pytest.mark.parametrize(
    ("asked", "keeps"),
    [
        (None, lambda n: True),
        ("", lambda n: True),
        ("name = 'Model07'", lambda n: n == "Model07"),
        ("name != 'Model07'", lambda n: n != "Model07"),
        ("name LIKE '%7'", lambda n: n.endswith("7")),
        ("name LIKE 'model%'", lambda n: False),
        ("name ILIKE 'model_1'", lambda n: len(n) == 7 and n.endswith("1")),
        ("attribute.name = \"Model01\"", lambda n: n == "Model01"),
        ("tags.even = 'yes' AND name LIKE '%2'", lambda n: n.endswith("2")),
        ("tag.`a key` != 'x'", lambda n: n == "Model05"),
        ("name IN ('Model01', 'Model03', 'none')", lambda n: n in ("Model01", "Model03")),
    ],
)
def test_models_are_found_page_by_page(client, most, asked, keeps):
    if not hasattr(test_models_are_found_page_by_page, "client"):
        for i, n in enumerate(NAMES):
            client.create_registered_model(n, {"even": "yes"} if i % 2 == 0 else None)
        client.set_registered_model_tag("Model05", "a key", "y")
        test_models_are_found_page_by_page.client = client
    client = test_models_are_found_page_by_page.client
    found = drain(client.search_registered_models, filter_string=asked, max_results=most)
    assert [m.name for m in found] == [n for n in NAMES if keeps(n)]


def test_order_of_models(client):
    for n in ("b", "c", "a"):
        client.create_registered_model(n)
        time.sleep(0.002)
    client.update_registered_model("b", "touched")
    names = lambda *order: [m.name for m in client.search_registered_models(order_by=list(order))]
    assert names() == ["a", "b", "c"]
    assert names("name DESC") == ["c", "b", "a"]
    assert names("last_updated_timestamp DESC") == ["b", "a", "c"]
    assert names("timestamp asc", "name") == ["c", "a", "b"]
    for bad, says in (
        ("creation_timestamp", "Invalid order by key 'creation_timestamp' specified"),
        ("name sideways", "Invalid order_by clause 'name sideways'. Could not be parsed"),
    ):
        with pytest.raises(MlflowException, match=says):
            names(bad)
    with pytest.raises(MlflowException, match="duplicate fields"):
        names("name", "name DESC")


def test_versions_are_found_in_order(client):
    for n in ("a", "b"):
        client.create_registered_model(n)
    made = []
    for i in range(6):
        time.sleep(0.002)
        made.append(client.create_model_version("ab"[i % 2], f"s3://bucket/{i}", f"run{i % 3}", {"i": i}))
    ids = lambda rows: [(v.name, v.version) for v in rows]
    search = lambda asked=None, **more: ids(drain(client.search_model_versions, filter_string=asked, **more))
    newest = ids(reversed(made))
    assert search() == newest
    assert search(max_results=1) == newest
    assert search(max_results=4) == newest
    assert search("name = 'a'") == [i for i in newest if i[0] == "a"]
    assert search("run_id = 'run1'") == ids([made[4], made[1]])
    assert search("run_id IN ('run0')") == ids([made[3], made[0]])
    assert search("source_path LIKE 's3://%/4'") == ids([made[4]])
    assert search("version_number >= 2 AND name = 'b'") == ids([made[5], made[3]])
    assert search("tags.i = '2'") == ids([made[2]])
    assert search(order_by=["version_number ASC", "name DESC"]) == [
        ("b", "1"), ("a", "1"), ("b", "2"), ("a", "2"), ("b", "3"), ("a", "3"),
    ]  # fmt: skip
    assert search(order_by=["creation_timestamp"]) == ids(made)
    client.delete_model_version("a", "1")
    assert ("a", "1") not in search()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("name = 'a' OR name = 'b'", r"Invalid clause\(s\) in filter string"),
        ("(name = 'a')", r"Invalid clause\(s\) in filter string"),
        ("owner = 'x'", "Invalid attribute key 'owner' specified"),
        ("metrics.a = '1'", "Invalid entity type 'metrics'"),
        ("name = unquoted", "not quoted"),
        ("tags.a > 'x'", "Invalid comparator for tag"),
        ("name > 'x'", "Invalid comparator for attribute"),
        ("run_id IN ()", "expected a non-empty list of string values"),
        ("version_number = 'x'", "Invalid value for numeric attribute"),
        ("name = 3", "numeric"),
    ],
)
def test_filter_that_cannot_be(client, asked, says):
    with pytest.raises(MlflowException, match=says) as e:
        client.search_model_versions(asked)
    assert e.value.error_code == "INVALID_PARAMETER_VALUE"


def test_pages_have_bounds(client):
    with pytest.raises(MlflowException, match="It must be at most 1000, but got value 1001"):
        client.search_registered_models(max_results=1001)
    with pytest.raises(MlflowException, match="It must be at most 200000, but got value 200001"):
        client.search_model_versions(max_results=200_001)
    with pytest.raises(MlflowException, match="positive integer"):
        client.search_model_versions(max_results=0)
    with pytest.raises(MlflowException, match="Invalid page token"):
        client.search_model_versions(page_token="nonsense")


def test_prompts_are_models_apart(client):
    client.create_registered_model("m")
    client.create_prompt("greeting", tags={"lang": "en"})
    first = client.create_prompt_version("greeting", "Hello {{name}}", tags={"by": "ann"})
    client.create_prompt_version("greeting", "Hi {{name}}")
    assert first.version == 1
    client.set_prompt_alias("greeting", "polite", 1)
    assert client.get_prompt_version("greeting", "1").template == "Hello {{name}}"
    assert client.get_prompt_version_by_alias("greeting", "polite").version == 1
    assert [p.name for p in client.search_prompts()] == ["greeting"]
    assert [m.name for m in client.search_registered_models()] == ["m"]
    assert client.search_model_versions() == []
    with pytest.raises(MlflowException, match="already taken by a prompt"):
        client.create_registered_model("greeting")
    # The client writes prompt for registered model in what it is told of prompts.
    with pytest.raises(MlflowException, match="Tried to create a prompt with name 'm'"):
        client.create_prompt("m")
    with pytest.raises(MlflowException, match=r"Prompt \(name=greeting\) already exists"):
        client.create_prompt("greeting")
    client.delete_prompt_version("greeting", "2")
    client.delete_prompt_alias("greeting", "polite")


@pytest.mark.parametrize(
    "source",
    [
        "mlflow-artifacts:/models",
        "mlflow-artifacts:/models/",
        "mlflow-artifacts:/models///",
        "mlflow-artifacts:/models/foo///bar",
        "mlflow-artifacts://host:9000/models",
        "mlflow-artifacts://host:9000/models/artifact/..../",
        "s3://bucket/a..b/c",
        "models:/m-1234567890abcdef",
    ],
)
def test_source_that_only_looks_odd_is_taken(client, source):
    client.create_registered_model("m")
    assert client.create_model_version("m", source).source == source


@pytest.mark.parametrize(
    "source",
    [
        "mlflow-artifacts://host:9000/models/..%2f..%2fartifacts",
        "mlflow-artifacts://host:9000/models/artifact%00",
        "http://host:9000/models/artifact/..%2f",
        "http://host:9000/models/artifact/../../",
        "https://host/api/2.0/mlflow-artifacts/artifacts/%252E%252E%252Fetc",
        "s3:///path/to/../../other/path",
        "s3:/bucket/models/path/../../other/path",
        "file:///path/to/../../../../etc",
        "/models/artifacts/../../../",
        "ftp://host:8888/models/artifacts/../../../",
        "mlflow-artifacts://host:9000/models/../../../",
        "s3a://bucket/models/../../../",
        "dbfs:/run/artifacts/a%3f/../../../../../../",
        "s3://bucket/models/./artifact",
        "models/../../artifact",
    ],
)
def test_source_that_leads_elsewhere_is_refused(client, source):
    client.create_registered_model("m")
    with pytest.raises(MlflowException, match="Invalid model version source") as e:
        client.create_model_version("m", source)
    assert e.value.error_code == "INVALID_PARAMETER_VALUE"
