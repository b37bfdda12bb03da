# A participants' table and a chunk of GPS in R, with the package curl: BEIWE_URL, BEIWE_ACCESS_KEY, BEIWE_SECRET_KEY and
# BEIWE_STUDY must be set.
library(curl)

url <- Sys.getenv("BEIWE_URL")
study <- Sys.getenv("BEIWE_STUDY")
access_key <- Sys.getenv("BEIWE_ACCESS_KEY")
secret_key <- Sys.getenv("BEIWE_SECRET_KEY")

fetch <- function(handle, path) {
  answer <- curl_fetch_memory(paste0(url, path), handle = handle)
  text <- rawToChar(answer$content)
  if (answer$status_code >= 400) stop(path, ": ", answer$status_code, " ", text)
  text
}

form <- c(access_key = access_key, secret_key = secret_key, study_id = study, data_format = "csv")
fields <- paste(names(form), sapply(form, curl_escape), sep = "=", collapse = "&")
handle <- handle_setopt(new_handle(), copypostfields = fields)
participants <- read.csv(text = fetch(handle, "/get-participant-table-data/v1"))
print(participants[, c("Patient.ID", "Status")])

with_key <- function() {
  handle_setheaders(new_handle(), "X-Access-Key-Id" = access_key, "X-Access-Key-Secret" = secret_key)
}
manifest <- fetch(with_key(), paste0("/get-data/v3/manifest?study_id=", study, "&data_streams=gps&limit=1"))
address <- sub('.*"url":"([^"]*)".*', "\\1", manifest)
gps <- read.csv(text = fetch(with_key(), address))
print(head(gps, 3))
