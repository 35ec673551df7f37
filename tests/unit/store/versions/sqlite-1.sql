PRAGMA application_id = 1399870578;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE attachment (
            experiment INTEGER NOT NULL REFERENCES experiment (id),
            trial INTEGER NOT NULL,
            name TEXT NOT NULL,
            sha256 BLOB NOT NULL,
            content BLOB NOT NULL,
            PRIMARY KEY (experiment, trial, name)
        );
INSERT INTO "attachment" VALUES(1,0,'model',X'06EB7D6A69EE19E5FBDF749018D3D2ABFA04BCBD1365DB312EB86DC7169389B8',X'00FF');
INSERT INTO "attachment" VALUES(1,0,'',X'E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855',X'');
CREATE TABLE counter (position INTEGER NOT NULL);
INSERT INTO "counter" VALUES(3);
CREATE TABLE experiment (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            document TEXT NOT NULL
        );
INSERT INTO "experiment" VALUES(1,'default','{"v":1,"key":"default","fingerprint":"ffffffffffffffffffffffffffffffff","space":[{"label":"x","distribution":"uniform(0, 1)","condition":""}],"seed":4294967295}');
INSERT INTO "experiment" VALUES(2,'Zürich','{"v":1,"key":"Zürich","fingerprint":"","space":[],"seed":4294967295}');
CREATE TABLE lease (
            experiment INTEGER PRIMARY KEY REFERENCES experiment (id),
            host TEXT NOT NULL,
            namespace TEXT NOT NULL,
            pid INTEGER NOT NULL,
            started TEXT NOT NULL,
            owner TEXT NOT NULL
        );
CREATE TABLE trial (
            experiment INTEGER NOT NULL REFERENCES experiment (id),
            id INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            state TEXT NOT NULL,
            position INTEGER NOT NULL,
            crc INTEGER NOT NULL,
            document TEXT NOT NULL,
            PRIMARY KEY (experiment, id)
        ) WITHOUT ROWID;
INSERT INTO "trial" VALUES(1,0,1,'ok',1,2566794295,'{"v":1,"id":0,"state":"ok","point":{"x":0.0,"c":0},"attempt":1,"loss":1.0,"result":{"loss":1.0,"status":"ok"},"host":"worker","created":1700000000.0,"started":1700000000.0,"seed":1,"attachments":["model",""]}');
INSERT INTO "trial" VALUES(1,1,1,'failed',1,1597975082,'{"v":1,"id":1,"state":"failed","point":{"x":0.14285714285714285,"c":1},"attempt":1,"failure":["raised","E","m","t"],"host":"worker","created":1700000000.3333333,"started":1700000001.0,"seed":1}');
INSERT INTO "trial" VALUES(1,2,1,'ok',2,3253618217,'{"v":1,"id":2,"state":"ok","point":{"x":0.2857142857142857,"c":2},"attempt":1,"loss":0.3333333333333333,"result":{"loss":0.3333333333333333,"status":"ok","x":{"__sparktrials__":["tuple",[{"__sparktrials__":["scalar","<f4","zczMPQ=="]},{"__sparktrials__":["scalar","<f8","mpmZmZmZuT8="]},{"__sparktrials__":["scalar","<i8","//////////8="]},{"__sparktrials__":["scalar","|b1","AQ=="]},{"__sparktrials__":["str_","é"]}]]},"t":[{"__sparktrials__":["datetime","2020-01-02T03:04:05.000006"]},{"__sparktrials__":["datetime","2020-01-02T03:00:00+02:00"]},{"__sparktrials__":["datetime","2020-10-25T02:30:00",1]},{"__sparktrials__":["date","2020-01-02"]},{"__sparktrials__":["timedelta",-1,2,3]}]},"host":"worker","created":1700000000.6666667,"started":1700000002.0,"seed":1,"reports":[[0,0.5],[1,{"__sparktrials__":["float","nan"]}]],"log":"é\n"}');
INSERT INTO "trial" VALUES(1,3,1,'new',1,299323044,'{"v":1,"id":3,"state":"new","point":{"x":0.42857142857142855,"c":0},"attempt":1,"created":1700000001.0,"seed":1,"given":true}');
INSERT INTO "trial" VALUES(1,4,1,'cancelled',1,3894782371,'{"v":1,"id":4,"state":"cancelled","point":{"x":0.5714285714285714,"c":1},"attempt":1,"host":"worker","created":1700000001.3333333,"started":1700000004.0,"seed":1}');
INSERT INTO "trial" VALUES(2,0,1,'ok',3,1702177989,'{"v":1,"id":0,"state":"ok","point":{"x":0.0,"c":0},"attempt":1,"loss":1.0,"result":{"a":{"__sparktrials__":["tuple",[1,2]]}},"host":"worker","created":1700000000.0,"started":1700000000.0,"seed":1}');
CREATE INDEX trial_position ON trial (experiment, position);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('experiment',2);
COMMIT;
