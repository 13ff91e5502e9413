/** How a person goes on with a task that asks something, as long as there is no other way to answer. */
export const GO_ON = "Type Queued (again) or Cancelled into the task's Status in the sheet.";
