// A connector for Tableau's web data connector 2.3: the page declares its columns and the path of the data (DATA-72).
"use strict";
const { title, path, columns } = document.body.dataset;
const declared = JSON.parse(columns);

const connector = tableau.makeConnector();

connector.init = (ready) => {
  tableau.authType = tableau.authTypeEnum.basic;
  ready();
};

connector.getSchema = (done) => {
  const typed = declared.map(({ id, alias, dataType }) => ({ id, alias, dataType: tableau.dataTypeEnum[dataType] }));
  done([{ id: "beiwe", alias: title, columns: typed }]);
};

connector.getData = async (table, done) => {
  const headers = { "X-Access-Key-Id": tableau.username, "X-Access-Key-Secret": tableau.password };
  try {
    const answer = await fetch(path + location.search, { headers });
    const value = await answer.json();
    if (!answer.ok) throw new Error([].concat(value.errors).join(" "));
    table.appendRows(value.map((row) => Object.fromEntries(declared.map(({ id, alias }) => [id, row[alias] ?? null]))));
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
