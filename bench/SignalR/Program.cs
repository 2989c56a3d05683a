using Fanfare.SignalR;
using Microsoft.AspNetCore.Http.Connections;

// As the SDK's template has it, server garbage collection included, but without logs.
var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders();
builder.Services.AddSignalR();
var app = builder.Build();
app.MapHub<EventHub>("/events", options => options.Transports = HttpTransportType.WebSockets);
app.Run();
