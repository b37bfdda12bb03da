// A connector for Tableau's web data connector 2.3: the page declares its columns and the path of the data (DATA-72).
"use strict";
const { title, path, columns, columnsPath } = document.body.dataset;

const fetched = async (address) => {
  const headers = { "X-Access-Key-Id": tableau.username, "X-Access-Key-Secret": tableau.password };
  const answer = await fetch(address, { headers });
  const value = await answer.json();
  if (!answer.ok) throw new Error([].concat(value.errors).join(" "));
  return value;
};

// A study's own columns are shown to those with a key alone (PERM-36).
const declared = async () => (columnsPath ? fetched(columnsPath) : JSON.parse(columns));

const connector = tableau.makeConnector();

connector.init = (ready) => {
  tableau.authType = tableau.authTypeEnum.basic;
  ready();
};

connector.getSchema = async (done) => {
  try {
    const typed = (await declared()).map(({ dataType, ...one }) => ({ ...one, dataType: tableau.dataTypeEnum[dataType] }));
    done([{ id: "beiwe", alias: title, columns: typed }]);
  } catch (error) {
    tableau.abortWithError(`Beiwe: ${error.message}`);
  }
};

connector.getData = async (table, done) => {
  try {
    const known = await declared();
    const rows = await fetched(path + location.search);
    table.appendRows(rows.map((row) => Object.fromEntries(known.map(({ id, alias }) => [id, row[alias] ?? null]))));
    done();
  } catch (error) {
    tableau.abortWithError(`Beiwe: ${error.message}`);
  }
};

tableau.registerConnector(connector);

document.getElementById("connector").addEventListener("submit", (event) => {
  event.preventDefault();
  tableau.connectionName = title;
  tableau.username = document.getElementById("access").value.trim();
  tableau.password = document.getElementById("secret").value.trim();
  tableau.submit();
});
