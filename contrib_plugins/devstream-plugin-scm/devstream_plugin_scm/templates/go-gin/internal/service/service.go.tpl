// Package service has the routes of [[ AppName ]].
package service

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

const greeting = [[ greeting | default("Hello from " ~ AppName) | tojson ]]

// New gives the routes.
func New() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(gin.Recovery())
	router.GET("/", func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"message": greeting})
	})
	router.GET("/healthz", func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"status": "ok"})
	})
	router.NoRoute(func(c *gin.Context) {
		c.JSON(http.StatusNotFound, gin.H{"error": "not found"})
	})
	return router
}
